"""Restores that are killed or meet a full disk, and what is there already."""

import signal
from pathlib import Path

import pytest

from ingestion.failpoints import Fault
from tests.disks import small_disk
from tests.installs import Install, ended
from tests.kill_points import RESTORING
from tests.web.backup.running import assert_as_before, manage, ok

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


@pytest.mark.parametrize("fault", RESTORING)
def test_killed_restore_is_repeated_with_force(
    finished_install: Install, new_machine: Install, backup: Path, fault: Fault
) -> None:
    ok(manage(new_machine, "restore", str(backup), CAIRN_FAULT=fault), -signal.SIGKILL)
    assert "restore --force" in ok(manage(new_machine, "up", "--port", "0"), 1).stderr
    assert "--force" in ok(manage(new_machine, "restore", str(backup)), 1).stderr
    ok(manage(new_machine, "restore", str(backup), "--force"))
    assert_as_before(new_machine, finished_install.chunk_set())
    with ended(new_machine.start()):
        assert len(new_machine.ask("GET", "/documents").json()["items"]) == 4


def test_forced_restore_removes_everything_from_before(
    finished_install: Install, install: Install, backup: Path
) -> None:
    with ended(install.start()):
        install.bring("late", 2)
        install.wait_settled()
        install.stop()
    assert "a database and files and an index" in ok(manage(install, "restore", str(backup)), 1).stderr
    assert install.found("late")
    ok(manage(install, "restore", str(backup), "--force"))
    assert_as_before(install, finished_install.chunk_set())


def test_full_disk_during_restore_is_explained(
    finished_install: Install, new_machine: Install, backup: Path
) -> None:
    with small_disk(new_machine.data_dir / "files", megabytes=1) as disk:
        with disk.full():
            done = ok(manage(new_machine, "restore", str(backup)), 1)
        assert "No space left" in done.stderr
        assert "Run restore again with --force" in done.stderr
        assert "Traceback" not in done.stderr
        ok(manage(new_machine, "restore", str(backup), "--force"))
        assert_as_before(new_machine, finished_install.chunk_set())
