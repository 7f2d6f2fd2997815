"""kill -9 of a worker that syncs a source, at every place where it matters."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingestion.failpoints import Fault
from tests.environment import clean_environment
from tests.kill_points import SYNCING, late_marks
from tests.servers import ROOT
from tests.shared_tables import share_tables

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

PLACES = (*SYNCING, Fault.AFTER_SUBMIT)
FIRST_SYNC = (Fault.SOURCE_AFTER_SUBMIT, Fault.SOURCE_BEFORE_ACCESS)


def process(folder: Path, what: str, edition: int, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.ingestion.sources.sync_process", what, str(edition)]
    environment = clean_environment(str(folder)) | settings
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def state(folder: Path, what: str = "state", edition: int = 1) -> dict[str, Any]:
    done = process(folder, what, edition)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sync") / "empty"
    folder.mkdir()
    share_tables(folder)
    state(folder, "setup")
    return folder


@pytest.fixture(scope="module")
def synced(empty: Path) -> Path:
    folder = empty.with_name("synced")
    shutil.copytree(empty, folder)
    assert len(state(folder, "sync", 1)["documents"]) == 4
    return folder


@pytest.fixture(scope="module")
def undisturbed(empty: Path, synced: Path) -> dict[int, dict[str, Any]]:
    folder = synced.with_name("undisturbed")
    shutil.copytree(synced, folder)
    return {1: state(synced), 2: state(folder, "sync", 2)}


def open_documents(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "cairn.sqlite3")) as tables:
        count: int = tables.execute("SELECT count(*) FROM library_document WHERE NOT narrowed").fetchone()[0]
    return count


@pytest.mark.parametrize(
    ("edition", "place"),
    [
        pytest.param(edition, place, marks=late_marks(place))
        for edition, places in ((1, FIRST_SYNC), (2, PLACES))
        for place in places
    ],
)
def test_run_after_a_kill_continues(
    empty: Path,
    synced: Path,
    undisturbed: dict[int, dict[str, Any]],
    tmp_path: Path,
    edition: int,
    place: Fault,
) -> None:
    """Edition 1 is the first sync; in edition 2 files are new, changed, renamed and gone."""
    folder = tmp_path / "data"
    shutil.copytree(empty if edition == 1 else synced, folder)
    killed = process(folder, "sync", edition, CAIRN_FAULT=place)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert open_documents(folder) == 0, "none is open to everyone even for a moment"
    assert state(folder, "sync", edition) == undisturbed[edition]
