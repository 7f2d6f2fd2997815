"""The disk of the files, of the database and of the vectors fills up under an embedded install, and is
cleared again."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.cairn.inference.server import FakeServer
from tests.disks import SmallDisk, small_disk
from tests.installs import Install, ended, until
from tests.models import Gate, model_settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

DOCUMENTS = 6
LONG_ENOUGH = 5.0  # for each job to have met the full disk

# The folder below DATA_DIR of each, and its size: Edge's is to have room for a log and some to spare.
DISKS = {"files": ("files", 4), "database": ("database", 16), "vectors": ("index", 256)}


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SmallDisk]]:
    data_dir = tmp_path_factory.mktemp("disks") / "data"
    with ExitStack() as mounted:
        yield {
            name: mounted.enter_context(small_disk(data_dir / folder, megabytes=size))
            for name, (folder, size) in DISKS.items()
        }


@pytest.fixture(scope="module")
def install(disks: dict[str, SmallDisk], models: FakeServer) -> Iterator[Install]:
    """Each of its disks has room when a test begins. What is `found` as "before" was brought in peace."""
    database = disks["database"].folder
    made = Install(
        database.parent,
        DATABASE_URL=f"sqlite:///{database}/cairn.sqlite3",
        JOB_MAX_ATTEMPTS="100",
        WORKER_THREADS="2",
        **model_settings(models),
    )
    with ended(made) as install:
        install.start()
        install.bring("before", DOCUMENTS)
        install.wait_settled()
        yield install


def give_space_back(database: Path) -> None:
    """Truncate SQLite's log, which keeps its size and so has room on a full disk, and the database."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def assert_answers(install: Install) -> None:
    found = install.ask("POST", "/search", json={"query": "form 3 of rule 4.2.3", "top_k": 3})
    assert found.status_code == 200, found.text
    assert found.json()["results"][0]["source_uri"].endswith("/rules-04.md")


@pytest.mark.parametrize("full", DISKS)
def test_full_disk_loses_no_document_and_leaves_none_incomplete(
    install: Install, disks: dict[str, SmallDisk], gate: Gate, full: str
) -> None:
    """The disk fills up while some jobs run and some wait; earlier documents stay searchable."""
    with gate.closed():
        install.bring(full, DOCUMENTS)
        until(lambda: "embedding" in install.stages(full))
        give_space_back(disks["database"].folder / "cairn.sqlite3")
        with disks[full].full():
            gate.open()
            time.sleep(LONG_ENOUGH)
            assert install.stages(full) - {"ready"}
            assert install.found(full) <= install.found("before")
            assert_answers(install)
            late = install.upload(f"{full}-late/rules-04.md", "# Late\n\nWords that come late.")
            assert late.status_code == (202 if full == "vectors" else 503), late.text
    install.wait_settled()
    assert install.failures() == []
    assert install.found(full) == install.found("before")
    again = install.upload(f"{full}-late/rules-04.md", "# Late\n\nWords that come late.")
    assert again.status_code == (200 if full == "vectors" else 202)
    assert_answers(install)


def test_finished_jobs_leave_nothing_on_disk(install: Install) -> None:
    install.wait_settled()
    install.stop()
    install.assert_nothing_left_over()
