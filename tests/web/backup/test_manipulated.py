"""A manipulated backup is not restored by mistake, and a backup contains no temporary data."""

import base64
import contextlib
import json
import os
import pickle
import shutil
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.installs import Install
from tests.web.backup.running import assert_as_before, manage, ok
from web.backup.manifest import SIGNATURE, SQLITE, SUMS

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


class MakesAFolder:
    """Unpickling an instance makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def listed_anew(folder: Path) -> None:
    names = [line.split("  ")[1] for line in (folder / SUMS).read_text().splitlines()]
    lines = [f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines))


@pytest.fixture
def manipulated(backup: Path, tmp_path: Path) -> Path:
    """A backup with a pickle where Cairn once stored its cache, and matching checksums."""
    copy = tmp_path / "manipulated"
    shutil.copytree(backup, copy)
    pickled = base64.b64encode(pickle.dumps(MakesAFolder(tmp_path / "mark"))).decode()
    with contextlib.closing(sqlite3.connect(copy / SQLITE)) as tables:
        tables.execute("CREATE TABLE cairn_cache (cache_key text, value text, expires text)")
        tables.execute("INSERT INTO cairn_cache VALUES (':1:x', ?, '2999-01-01')", [pickled])
        tables.execute("DELETE FROM django_migrations WHERE app = 'cache'")
        tables.execute("DROP TABLE cache_entry")
        tables.commit()
    listed_anew(copy)
    return copy


def test_manipulated_backup_is_rejected_and_changes_nothing(
    finished_install: Install, new_machine: Install, backup: Path, manipulated: Path
) -> None:
    for options in ([], ["--force"], ["--allow-unauthenticated"]):
        done = ok(manage(new_machine, "restore", str(manipulated), *options), 1)
        assert "its signature is wrong" in done.stderr
        assert not new_machine.sqlite.exists()
    ok(manage(new_machine, "restore", str(backup)))
    assert_as_before(new_machine, finished_install.chunk_set())


def test_unauthenticated_restore_warns_and_loads_no_pickle(
    finished_install: Install, new_machine: Install, manipulated: Path, tmp_path: Path
) -> None:
    (manipulated / SIGNATURE).unlink()
    done = ok(manage(new_machine, "restore", str(manipulated)), 1)
    assert "--allow-unauthenticated" in done.stderr
    assert not new_machine.sqlite.exists()
    done = ok(manage(new_machine, "restore", str(manipulated), "--allow-unauthenticated", "--json"))
    assert "without checking who made it" in " ".join(json.loads(done.stdout)["notes"])
    assert_as_before(new_machine, finished_install.chunk_set())
    assert new_machine.rows("SELECT name FROM sqlite_master WHERE name = 'cairn_cache'") == []
    [(event,)] = new_machine.rows("SELECT detail FROM audit_event WHERE action = 'backup.restored'")
    assert json.loads(str(event))["authenticated"] is False
    assert not (tmp_path / "mark").exists()


def test_restore_on_another_machine_requires_the_key(
    finished_install: Install, new_machine: Install, backup: Path
) -> None:
    key = (new_machine.data_dir / "backup_key").read_text()
    (new_machine.data_dir / "backup_key").unlink()
    assert "Set BACKUP_KEY" in ok(manage(new_machine, "restore", str(backup)), 1).stderr
    other = "a key of another install, long enough"
    assert "another key" in ok(manage(new_machine, "restore", str(backup), BACKUP_KEY=other), 1).stderr
    ok(manage(new_machine, "restore", str(backup), BACKUP_KEY=key))
    assert_as_before(new_machine, finished_install.chunk_set())


def test_backup_key_is_shown_once_and_is_in_no_backup(install: Install, shelf: Path) -> None:
    (install.data_dir / "backup_key").unlink()
    told = ok(manage(install, "backup", str(shelf / "monday"))).stderr
    assert f"{install.data_dir / 'backup_key'} is the key" in told
    assert "is the key" not in ok(manage(install, "backup", str(shelf / "tuesday"))).stderr
    key = (install.data_dir / "backup_key").read_bytes()
    assert (install.data_dir / "backup_key").stat().st_mode & 0o777 == 0o600
    assert not [p for p in shelf.rglob("*") if p.is_file() and key in p.read_bytes()]


def test_cache_and_sessions_are_excluded_from_a_backup(install: Install, shelf: Path) -> None:
    with contextlib.closing(sqlite3.connect(install.sqlite)) as tables:
        tables.execute("INSERT INTO cache_entry VALUES (':1:x', '\"cached-words\"', '2999-01-01')")
        tables.execute("INSERT INTO django_session VALUES ('abc', 'session-words', '2999-01-01')")
        tables.commit()
    ok(manage(install, "backup", str(shelf / "monday")))
    copied = (shelf / "monday" / SQLITE).read_bytes()
    assert b"cached-words" not in copied
    assert b"session-words" not in copied
    assert install.rows("SELECT count(*) FROM django_session WHERE session_key = 'abc'") == [(1,)]
    assert install.rows("SELECT value FROM cache_entry") == [('"cached-words"',)]
