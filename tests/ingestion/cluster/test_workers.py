"""Workers in processes of their own do what the embedded one does."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.ingestion.cluster.conftest import Cluster
from tests.installs import ChunkSet, until
from tests.models import Gate
from tests.servers import working_process
from tests.stuck import HOLD, stuck_environment

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

Expected = Callable[[int], ChunkSet]


def stages(cluster: Cluster, name: str) -> list[tuple[object, ...]]:
    return cluster.install.rows(
        "SELECT j.stage, j.attempts, j.lease FROM ingestion_job j "
        "JOIN library_documentversion v ON v.id = j.version_id "
        f"JOIN library_document d ON d.id = v.document_id WHERE d.source_uri LIKE '{name}/%'"
    )


SIGNAL_TAKEN = 3.0  # seconds, on a busy machine: else the job is done before the worker hears of its end


def embedding(cluster: Cluster, name: str) -> bool:
    return any(stage == "embedding" for stage, *_ in stages(cluster, name))


def test_workers_and_embedded_processing_produce_the_same_chunks(
    cluster: Cluster, expected: Expected
) -> None:
    cluster.working()
    cluster.install.bring("plain", 6)
    cluster.install.wait_settled()
    assert cluster.install.found("plain") == expected(6)
    cluster.install.assert_nothing_left_over()
    only = {"source_uri": "plain/rules-04.md"}
    asked = {"query": "form 3 of rule 4.2.3", "top_k": 20, "filters": only}
    results = cluster.install.ask("POST", "/search", json=asked).json()["results"]
    assert any("Rule 4.2.3" in hit["text"] for hit in results)


def test_terminated_worker_returns_its_job(cluster: Cluster, gate: Gate, expected: Expected) -> None:
    worker = cluster.working()
    with gate.closed():
        cluster.install.bring("handed", 1)
        until(lambda: embedding(cluster, "handed"))
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(SIGNAL_TAKEN)
    assert worker.wait_end() == 0
    assert stages(cluster, "handed") == [("queued", 0, None)]
    cluster.working()
    cluster.install.wait_settled()
    assert cluster.install.found("handed") == expected(1)


def test_jobs_of_a_stuck_worker_are_done_by_its_replacement(
    cluster: Cluster, gate: Gate, expected: Expected
) -> None:
    cluster.idle()
    with cluster.install.worker(**stuck_environment(WATCHDOG_SECONDS="15")) as worker:
        stuck = working_process(worker.wait_ready().process.pid)
        with gate.closed():
            cluster.install.bring("stuck", 2)
            until(lambda: embedding(cluster, "stuck"))
            stuck.send_signal(HOLD)
            until(lambda: not stuck.is_running(), patience=120)
        cluster.install.wait_settled()
        assert cluster.install.found("stuck") == expected(2)
        log = (cluster.install.data_dir / "worker.log").read_text(encoding="utf-8")
        assert "in hold" in log
        assert worker.stop() == 0


def test_document_deleted_during_embedding_leaves_nothing(cluster: Cluster, gate: Gate) -> None:
    cluster.working()
    with gate.closed():
        cluster.install.bring("deleted", 2)
        until(lambda: embedding(cluster, "deleted"))
        document = cluster.install.document("deleted/rules-00.md")["id"]
        answer = cluster.install.ask("DELETE", f"/documents/{document}")
        assert answer.status_code == 202
    cluster.install.wait_settled()
    receipt = cluster.install.ask("GET", f"/receipts/{answer.json()['receipt']['id']}").json()
    assert receipt["state"] == "done"
    assert {uri for uri, *_ in cluster.install.found("deleted")} == {"rules-01.md"}
    cluster.install.assert_nothing_left_over()
