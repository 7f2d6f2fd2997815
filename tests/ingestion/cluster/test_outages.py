"""Ingestion survives outages of its services that last as long as a restart."""

import time
from collections.abc import Callable

import psycopg
import pytest

from ingestion.pipeline.run import INDEX_BATCH
from tests.backends import Postgres
from tests.ingestion.cluster.conftest import Cluster
from tests.installs import ChunkSet, texts, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

Expected = Callable[[int], ChunkSet]
STORE_AWAY, LOCKED = 60.0, 30.0


def test_jobs_survive_a_vector_store_outage(cluster: Cluster, expected: Expected) -> None:
    cluster.working()
    cluster.store.stop()
    try:
        cluster.install.bring("vectors", 4)
        time.sleep(STORE_AWAY)
        assert cluster.install.found("vectors") == set()
    finally:
        cluster.store.start()
    cluster.install.wait_settled()
    assert cluster.install.failures() == []
    assert cluster.install.found("vectors") == expected(4)
    cluster.install.assert_nothing_left_over()


def test_vector_store_outage_while_a_document_is_written_is_survived(cluster: Cluster) -> None:
    """Some of the writes of the document succeeded before the outage."""
    install = cluster.install
    cluster.working()
    install.upload_all({"middle/rules.md": texts(1, edition=5, sections=16 * INDEX_BATCH)["rules-00.md"]})
    written = "SELECT count(*) FROM ingestion_job WHERE stage = 'indexing' AND done > 0"
    until(lambda: install.rows(written) == [(1,)], what="for the first writes")
    cluster.store.stop()
    try:
        until(lambda: install.stages("middle") == {"queued"}, what="for the job to be put off")
        assert install.found("middle") == set()
    finally:
        cluster.store.start()
    install.wait_settled()
    assert install.failures() == []
    assert len(install.found("middle")) >= 16 * INDEX_BATCH
    install.assert_nothing_left_over()


def test_jobs_survive_locked_tables(cluster: Cluster, expected: Expected) -> None:
    cluster.working()
    cluster.install.bring("locked", 4)
    with psycopg.connect(cluster.install.settings["DATABASE_URL"]) as connection:
        connection.execute("LOCK TABLE ingestion_job, library_chunk IN ACCESS EXCLUSIVE MODE")
        time.sleep(LOCKED)
    cluster.install.wait_settled()
    assert cluster.install.failures() == []
    assert cluster.install.found("locked") == expected(4)
    cluster.install.assert_nothing_left_over()


def test_jobs_survive_a_database_restart(cluster: Cluster, expected: Expected, postgres: Postgres) -> None:
    cluster.working()
    cluster.install.bring("restarted", 4)
    postgres.stop()
    time.sleep(2)
    postgres.start()
    assert cluster.install.upload("restarted/more.md", "# More\n\nWords.").status_code == 202
    cluster.install.wait_settled()
    assert cluster.install.failures() == []
    assert expected(4) <= cluster.install.found("restarted")
    cluster.install.assert_nothing_left_over()
