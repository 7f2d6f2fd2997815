"""Only a backup that is whole, and as it was written, is taken for one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError, InvalidInput
from tests.web.backup.manifests import manifest
from web.backup import restore
from web.backup.erasures import erasures_in
from web.backup.key import BackupKey, key_get_or_create
from web.backup.manifest import (
    FILES,
    MANIFEST,
    SIGNATURE,
    SQLITE,
    SUMS,
    Backup,
    Unauthenticated,
    seal,
    verify,
)

KEY = BackupKey("a key that is in no backup of this test")


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    original = folder / FILES / "originals" / "ab" / "x"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"minutes")
    (folder / SQLITE).write_bytes(b"tables")
    seal(folder, manifest(), KEY)
    return folder


def checked(folder: Path) -> Backup:
    return verify(folder, key=KEY)


def test_backup_is_complete_and_private(backup: Path) -> None:
    whole = checked(backup)
    assert whole.manifest == manifest()
    assert whole.authentic
    assert whole.stored_names() == ["originals/ab/x"]
    assert {path.stat().st_mode & 0o777 for path in backup.rglob("*") if path.is_file()} == {0o600}


def _cut(backup: Path) -> None:
    (backup / SQLITE).write_bytes(b"table")


def _lost(backup: Path) -> None:
    (backup / FILES / "originals/ab/x").unlink()


def _added(backup: Path) -> None:
    (backup / FILES / "originals/ab/y").write_bytes(b"planted")


def _linked(backup: Path) -> None:
    """Replace a file by a link to one that is the same while it is checked."""
    original = backup / FILES / "originals/ab/x"
    original.rename(backup.parent / "elsewhere")
    original.symlink_to(backup.parent / "elsewhere")


def _unfinished(backup: Path) -> None:
    (backup / SUMS).unlink()


def _retold(backup: Path) -> None:
    (backup / MANIFEST).write_text(manifest(documents=2).model_dump_json())


@pytest.mark.parametrize("harm", [_cut, _lost, _added, _linked, _unfinished, _retold])
def test_altered_backup_is_rejected(backup: Path, harm: Callable[[Path], None]) -> None:
    harm(backup)
    with pytest.raises(InvalidInput):
        checked(backup)


def test_backup_of_another_format_is_rejected(backup: Path) -> None:
    seal(backup, manifest(format=3), KEY)
    with pytest.raises(InvalidInput, match="format"):
        checked(backup)


def test_unsigned_older_backup_requires_confirmation(backup: Path) -> None:
    seal(backup, manifest(format=1), KEY)
    (backup / SIGNATURE).unlink()
    with pytest.raises(Unauthenticated, match=r"not signed.*--allow-unauthenticated"):
        checked(backup)
    assert not verify(backup, key=KEY, allow_unauthenticated=True).authentic
    assert not verify(backup, key=None, allow_unauthenticated=True).authentic


def test_backup_of_another_install_requires_its_key(backup: Path) -> None:
    other = BackupKey("the key of another install")
    with pytest.raises(Unauthenticated, match="signed with another key"):
        verify(backup, key=other)
    with pytest.raises(Unauthenticated, match="Set BACKUP_KEY"):
        verify(backup, key=None)
    assert not verify(backup, key=other, allow_unauthenticated=True).authentic
    assert "key that is" not in repr(KEY)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"migrations": ["library.9999_later"]}, "newer"), ({"database": "postgresql"}, "postgresql")],
)
def test_incompatible_backup_changes_nothing(
    tmp_path: Path, changes: dict[str, object], problem: str, settings: object, db: None
) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("these are SQLite's")
    folder = tmp_path / "backup"
    folder.mkdir()
    key, _ = key_get_or_create()
    seal(folder, manifest(**changes), key)
    with pytest.raises(ConfigurationError, match=problem):
        restore.restore(folder, force=True)


def test_list_of_erasures_is_validated() -> None:
    line = '{"action": "erasure.done", "subject": "document:00000000-0000-4000-8000-000000000000"}'
    assert erasures_in([line, "\n"])[0].kind == "document"
    for wrong in [line.replace("done", "requested"), line.replace("document:", "group:"), "{}", "no", "[]"]:
        with pytest.raises(InvalidInput, match="Line 2"):
            erasures_in([line, wrong])
