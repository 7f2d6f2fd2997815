"""Backups that are killed, meet a full disk, or get in each other's way; and who may read one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.failpoints import Fault
from tests.disks import small_disk
from tests.installs import Install
from tests.kill_points import BACKING_UP
from tests.servers import ROOT, server_environment
from tests.web.backup.running import assert_as_before, left_on, manage, ok
from web.backup.key import BackupKey
from web.backup.manifest import SUMS, verify

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

MEBIBYTE = 1 << 20
OWNERS_ONLY = {(True, 0o700), (False, 0o600)}


def modes(folder: Path) -> set[tuple[bool, int]]:
    """Return the modes of the backup and everything in it: whether it is a folder, and the permissions."""
    return {(path.is_dir(), path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}


def verified(install: Install, folder: Path) -> None:
    key = BackupKey((install.data_dir / "backup_key").read_text())
    assert verify(folder, key=key).authentic


def test_backup_is_readable_only_by_its_owner(backup: Path) -> None:
    assert modes(backup) == OWNERS_ONLY


@pytest.mark.parametrize("fault", BACKING_UP)
def test_killed_backup_is_incomplete_and_removed_by_the_next(
    install: Install, shelf: Path, fault: Fault
) -> None:
    ok(manage(install, "backup", str(shelf / "monday"), CAIRN_FAULT=fault), -signal.SIGKILL)
    assert left_on(shelf) == {".monday.unfinished", ".monday.backup-lock"}
    assert modes(shelf / ".monday.unfinished") == OWNERS_ONLY
    assert "complete backup" in ok(manage(install, "restore", str(shelf / "monday"), "--force"), 1).stderr
    told = ok(manage(install, "backup", str(shelf / "tuesday"))).stderr
    assert f"{shelf / '.monday.unfinished'} is removed" in told
    assert left_on(shelf) == {"tuesday"}
    verified(install, shelf / "tuesday")


def test_incomplete_backup_is_not_restored(install: Install, shelf: Path) -> None:
    target, fault = shelf / "monday", Fault.BACKUP_WHILE_COPYING
    ok(manage(install, "backup", str(target), CAIRN_FAULT=fault), -signal.SIGKILL)
    done = ok(manage(install, "restore", str(shelf / ".monday.unfinished"), "--force"), 1)
    assert SUMS in done.stderr
    assert_as_before(install, install.chunk_set())


def test_one_of_two_concurrent_backups_is_made(
    finished_install: Install, install: Install, shelf: Path
) -> None:
    """Also of two installs, each of which could be read."""
    environments = [server_environment(i.data_dir, **i.settings) for i in (finished_install, install)]
    command = [sys.executable, str(ROOT / "manage.py"), "backup", str(shelf / "monday")]
    running = [
        subprocess.Popen(command, env=each, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for each in environments
    ]
    errors = [each.communicate()[1] for each in running]
    assert sorted(each.returncode for each in running) == [0, 1], errors
    (refused,) = [text for text, each in zip(errors, running, strict=True) if each.returncode]
    assert "Another backup" in refused or "already exists" in refused
    assert left_on(shelf) == {"monday"}
    verified(install, shelf / "monday")


@pytest.mark.parametrize("what", ["tables", "files"])
def test_full_disk_is_reported_and_leaves_no_backup(install: Install, shelf: Path, what: str) -> None:
    size = -(-install.sqlite.stat().st_size // MEBIBYTE) + 1
    if what == "files":
        (original, *_), *_ = install.rows("SELECT original FROM library_documentversion")
        with (install.data_dir / "files" / str(original)).open("ab") as stream:
            stream.write(os.urandom(size * MEBIBYTE))
    with small_disk(shelf, megabytes=size if what == "files" else 1) as disk:
        done = ok(manage(install, "backup", str(disk.folder / "monday")), 1)
        assert ("disk is full" if what == "tables" else "No space left") in done.stderr
        assert "Traceback" not in done.stderr
        assert left_on(disk.folder) == set()
    verified_after = shelf.parent / "roomy"
    ok(manage(install, "backup", str(verified_after)), 0 if what == "tables" else 3)
    verified(install, verified_after)
