"""Lost or repeated messages of the broker change nothing: it only wakes workers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from celery import Celery

from tests.ingestion.cluster.conftest import BROKERS, Cluster
from tests.installs import ChunkSet, until
from tests.models import Gate

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("cluster", sorted(BROKERS), indirect=True, scope="package"),
]

Expected = Callable[[int], ChunkSet]


@contextmanager
def away(cluster: Cluster, *, persistent: bool) -> Iterator[None]:
    cluster.broker.persistent = persistent
    cluster.broker.stop()
    try:
        yield
    finally:
        cluster.broker.start()
        cluster.broker.persistent = True


@pytest.mark.parametrize("persistent", [True, False], ids=["remembers", "forgets"])
def test_broker_restart_loses_no_jobs_or_uploads(
    cluster: Cluster, gate: Gate, expected: Expected, *, persistent: bool
) -> None:
    """Some jobs are queued in it, one is being processed, and files are uploaded during the outage."""
    name = f"broker-{persistent}"
    cluster.working()
    with gate.closed():
        cluster.install.bring(name, 6)
        until(lambda: ("embedding",) in cluster.install.rows("SELECT stage FROM ingestion_job"))
        with away(cluster, persistent=persistent):
            gate.open()
            cluster.install.bring(f"{name}-meanwhile", 3)
    cluster.install.wait_settled()
    assert cluster.install.found(name) == expected(6)
    assert cluster.install.found(f"{name}-meanwhile") == expected(3)
    cluster.install.assert_nothing_left_over()


def test_uploads_accepted_without_a_broker_are_processed_later(cluster: Cluster, expected: Expected) -> None:
    """The worker is new: all that it can know, it has from the tables."""
    cluster.idle()
    with away(cluster, persistent=False):
        cluster.install.bring("accepted", 3)
        assert cluster.install.ask("GET", "/jobs").status_code == 200
    cluster.working()
    cluster.install.wait_settled()
    assert cluster.install.found("accepted") == expected(3)


def test_duplicate_messages_to_two_workers_process_each_job_once(
    cluster: Cluster, expected: Expected
) -> None:
    cluster.idle()
    cluster.install.bring("twice", 4)
    messages = Celery(broker=cluster.broker.url, set_as_current=False)
    for _ in range(40):
        messages.send_task("ingestion.work", args=["interactive", False], queue="interactive", retry=False)
    messages.close()
    second: list[int] = []
    other = cluster.install.worker("--queues", "interactive", "--concurrency", "4")
    ending = Thread(target=lambda: second.append(other.wait_ready().process.pid))
    ending.start()
    cluster.working()
    ending.join()
    cluster.install.wait_settled()
    assert other.stop() == 0
    attempts = cluster.install.rows(
        "SELECT j.attempts FROM ingestion_job j JOIN library_documentversion v ON v.id = j.version_id "
        "JOIN library_document d ON d.id = v.document_id WHERE d.source_uri LIKE 'twice/%'"
    )
    assert attempts == [(1,)] * 4
    assert cluster.install.found("twice") == expected(4)
    cluster.install.assert_nothing_left_over()
