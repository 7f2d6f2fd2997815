"""kill -9 of the one process of an embedded install, at every place where it matters.

One install lives through all of them: each start goes on with what the last one left, and dies again.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ingestion.failpoints import Fault
from ingestion.pipeline.run import INDEX_BATCH
from tests.cairn.inference.server import FakeServer
from tests.installs import ChunkSet, Install, ended, texts
from tests.kill_points import (
    DELETED,
    IN_A_JOB,
    NEW,
    OLD,
    SUBMITTED,
    changed,
    delete_one,
    expected,
    kills,
    sources,
)
from tests.models import Gate, model_settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

MANY = {"JOB_MAX_ATTEMPTS": "40"}  # one job may be the first at every start


@pytest.fixture(scope="module")
def old_install(models: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """Old versions of every document answer; nothing runs."""
    data_dir = tmp_path_factory.mktemp("killed") / "before"
    with ended(Install(data_dir, **MANY, **model_settings(models))) as install:
        install.start().upload_all(OLD)
        install.wait_settled()
        install.stop()
        install.assert_nothing_left_over()
        yield install


@pytest.fixture(scope="module")
def undisturbed_chunks(old_install: Install, tmp_path_factory: pytest.TempPathFactory) -> ChunkSet:
    with ended(old_install.copied(tmp_path_factory.mktemp("undisturbed") / "data")) as install:
        install.start()
        install.upload(SUBMITTED, NEW[SUBMITTED])
        changed(install)
        delete_one(install)
        install.wait_settled()
        install.stop()
        install.assert_nothing_left_over()
        return install.chunk_set()


@pytest.fixture(scope="module")
def killed_install(
    old_install: Install, gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Install]:
    """Has been killed between the commit of an upload and the answer, while it erased a document, and with
    new versions of all the others in the middle: the later kills need their jobs."""
    with ended(old_install.copied(tmp_path_factory.mktemp("victim") / "data")) as install:
        with pytest.raises(httpx.HTTPError):  # the process that would answer is dead
            install.start(CAIRN_FAULT=Fault.AFTER_SUBMIT).upload(SUBMITTED, NEW[SUBMITTED])
        install.wait_killed()
        install.start(CAIRN_FAULT=Fault.DURING_ERASURE)
        delete_one(install)
        install.wait_killed()
        server = install.start().server
        with gate.closed():
            changed(install)
            assert server is not None
            server.process.kill()
            install.wait_killed()
        yield install


@pytest.mark.parametrize("fault", kills(IN_A_JOB))
def test_kill_leaves_no_document_partly_searchable(killed_install: Install, fault: Fault) -> None:
    killed_install.run_until_killed(CAIRN_FAULT=fault)
    killed_install.assert_nothing_half()
    assert sources(killed_install.chunk_set()) == expected()


def test_partly_indexed_version_is_not_searched(old_install: Install, tmp_path: Path) -> None:
    """A document of more passages than one write to the index takes."""
    old, new = (texts(1, edition=edition, sections=INDEX_BATCH + 50) for edition in (3, 4))
    with ended(old_install.copied(tmp_path / "data")) as install:
        install.start().upload_all(old)
        install.wait_settled()
        install.stop()
        answers = install.chunk_set()
        install.start(CAIRN_FAULT=Fault.AFTER_UPSERT).upload_all(new)
        install.wait_killed()
        assert install.chunk_set() == answers
        install.assert_nothing_half()
        with install.index() as index:
            assert index.count() == len(answers) + INDEX_BATCH
        install.start()
        install.wait_settled()
        assert install.failures() == []
        install.stop()
        install.assert_nothing_left_over()
        assert {place[:2] for place in install.chunk_set()} == {place[:2] for place in answers}
        assert install.chunk_set() != answers


def test_killed_ingestion_finishes_with_the_same_chunks(
    killed_install: Install, undisturbed_chunks: ChunkSet
) -> None:
    killed_install.start()
    killed_install.wait_settled()
    assert killed_install.failures() == []
    assert (
        killed_install.ask(
            "GET", f"/knowledge-bases/{killed_install.base()}/documents", params={"q": DELETED}
        ).json()["items"]
        == []
    )
    killed_install.stop()
    killed_install.assert_nothing_left_over()
    assert killed_install.chunk_set() == undisturbed_chunks
