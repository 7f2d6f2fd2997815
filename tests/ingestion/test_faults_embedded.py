"""Faults around a working embedded install: SQLite is locked, documents are deleted."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import pytest

from tests.cairn.inference.server import FakeServer
from tests.installs import Install, ended, until
from tests.models import Gate, model_settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

DOCUMENTS = 4
LOCKED = 33.0  # longer than Cairn waits for a lock


@pytest.fixture(scope="module")
def install(models: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """An install whose documents in "before" were ingested without faults."""
    made = Install(
        tmp_path_factory.mktemp("embedded") / "data", JOB_MAX_ATTEMPTS="40", **model_settings(models)
    )
    with ended(made) as install:
        install.start()
        install.bring("before", DOCUMENTS)
        install.wait_settled()
        yield install


@contextlib.contextmanager
def locked(install: Install) -> Iterator[None]:
    """Lock the database for writing."""
    with contextlib.closing(sqlite3.connect(install.sqlite, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def test_jobs_and_uploads_survive_a_locked_database(install: Install, gate: Gate) -> None:
    """Reading goes on. Jobs in the middle and an upload meet the lock."""
    with gate.closed():
        install.bring("locked", DOCUMENTS)
        until(lambda: "embedding" in install.stages("locked"))
        with locked(install):
            gate.open()
            began = time.monotonic()
            found = install.ask("POST", "/search", json={"query": "form 3 of rule 2.2.3", "top_k": 3})
            assert found.json()["results"][0]["source_uri"].endswith("/rules-02.md")
            refused = install.upload("locked-late/more.md", "# More\n\nWords.")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            time.sleep(max(0.0, began + LOCKED - time.monotonic()))
    install.wait_settled()
    assert install.failures() == []
    assert install.found("locked") == install.found("before")
    assert install.upload("locked-late/more.md", "# More\n\nWords.").status_code == 202
    install.wait_settled()


def test_document_deleted_during_embedding_leaves_nothing(install: Install, gate: Gate) -> None:
    with gate.closed():
        install.bring("deleted", 2)
        until(lambda: "embedding" in install.stages("deleted"))
        document = install.document("deleted/rules-00.md")["id"]
        answer = install.ask("DELETE", f"/documents/{document}")
        assert answer.status_code == 202
    install.wait_settled()
    assert install.ask("GET", f"/receipts/{answer.json()['receipt']['id']}").json()["state"] == "done"
    assert {uri for uri, *_ in install.found("deleted")} == {"rules-01.md"}


def test_finished_jobs_leave_nothing_on_disk(install: Install) -> None:
    install.stop()
    install.assert_nothing_left_over()
