"""Workers build another generation of the index; the web process, which did not swap, notices."""

import pytest

from tests.ingestion.cluster.conftest import Cluster
from tests.installs import DIMENSION
from tests.models import OTHER_MODEL
from tests.reindexing import Askers, generations, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

BUILD = {"embedding_model": OTHER_MODEL}


def test_questions_are_answered_while_a_reindexing_worker_is_killed(cluster: Cluster) -> None:
    install = cluster.install
    cluster.working()
    install.bring("reindexed", 6)
    install.wait_settled()
    cluster.idle()
    with Askers(install).asking(threads=2) as askers:
        install.ask("POST", "/index/generations", json=BUILD)
        install.run_until_killed(CAIRN_FAULT="reindex_after_upsert")
        assert generations(install)["building"]["dimension"] == 64
        cluster.working()
        wait_for(install, "ready", 64)
        askers.some_more()
        install.ask("POST", "/index/swap", json={})
        wait_for(install, "active", 64)
        askers.some_more()
        install.bring("after", 2)
        install.wait_settled()
        install.ask("POST", "/index/rollback", json={})
        wait_for(install, "active", DIMENSION)
        askers.some_more()
    assert askers.wrong == []
    install.assert_nothing_left_over()
