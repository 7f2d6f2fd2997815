"""kill -9 of a worker at every place where it matters, and of the web process at the door.

Each worker finds what the one before it left, and dies in its turn.
"""

import httpx
import pytest

from ingestion.failpoints import Fault
from tests.ingestion.cluster.conftest import Cluster
from tests.installs import ChunkSet, ClusterInstall
from tests.kill_points import (
    DELETED,
    IN_A_JOB,
    NEW,
    OLD,
    REWRITING,
    SUBMITTED,
    changed,
    delete_one,
    expected,
    sources,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def killed_install(cluster: Cluster) -> ClusterInstall:
    """Has new versions of every document waiting, and a document that was half erased."""
    install = cluster.install
    cluster.working()
    install.upload_all(OLD)
    install.wait_settled()
    cluster.idle()
    install.stop()
    install.start(CAIRN_FAULT=Fault.AFTER_SUBMIT)
    with pytest.raises(httpx.HTTPError):
        install.upload(SUBMITTED, NEW[SUBMITTED])
    install.wait_killed()
    install.start()
    delete_one(install)
    install.run_until_killed(CAIRN_FAULT=Fault.DURING_ERASURE)
    changed(install)
    return install


def own(chunks: ChunkSet) -> ChunkSet:
    """Drop chunks of files of other tests."""
    return {chunk for chunk in chunks if chunk[0] in NEW}


@pytest.mark.parametrize("fault", IN_A_JOB)
def test_kill_leaves_no_document_partly_searchable(killed_install: ClusterInstall, fault: Fault) -> None:
    killed_install.run_until_killed(CAIRN_FAULT=fault)
    killed_install.assert_nothing_half()
    assert sources(own(killed_install.chunk_set())) == expected()


def test_killed_ingestion_finishes_with_the_same_chunks(
    killed_install: ClusterInstall, cluster: Cluster, undisturbed_chunks: ChunkSet
) -> None:
    cluster.working()
    killed_install.wait_settled()
    assert killed_install.failures() == []
    killed_install.assert_nothing_left_over()
    assert own(killed_install.chunk_set()) == {chunk for chunk in undisturbed_chunks if chunk[0] != DELETED}


@pytest.mark.parametrize("fault", REWRITING)
def test_next_worker_finishes_an_erasure_after_a_kill(cluster: Cluster, fault: Fault) -> None:
    install = cluster.install
    cluster.working()
    install.bring("erased", 1)
    install.wait_settled()
    cluster.idle()
    document = install.document("erased/rules-00.md")["id"]
    receipt = install.ask("DELETE", f"/documents/{document}").json()["receipt"]["id"]
    install.run_until_killed(CAIRN_FAULT=fault)
    assert install.ask("GET", f"/receipts/{receipt}").json()["state"] == "pending"
    cluster.working()
    install.wait_settled()
    assert install.ask("GET", f"/receipts/{receipt}").json()["state"] == "done"
    assert install.found("erased") == set()
    install.assert_nothing_left_over()
