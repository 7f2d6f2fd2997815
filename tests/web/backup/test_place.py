"""The folder of a backup has one writer."""

from pathlib import Path

import pytest

from cairn.errors import Conflict, InvalidInput
from tests.web.backup.running import left_on
from web.backup.destination import new_folder


@pytest.fixture
def reports() -> list[str]:
    return []


def test_concurrent_writer_is_rejected(shelf: Path, reports: list[str]) -> None:
    target = shelf / "monday"
    with new_folder(target, report=reports.append) as folder:
        (folder / "x").write_text("one")
        with pytest.raises(Conflict, match="Another backup"), new_folder(target, report=reports.append):
            pass
        with new_folder(shelf / "tuesday", report=reports.append):
            pass
        assert (folder / "x").read_text() == "one"
    assert (target / "x").read_text() == "one"
    assert left_on(shelf) == {"monday", "tuesday"}
    assert reports == []


def test_failed_backup_leaves_nothing(shelf: Path, reports: list[str]) -> None:
    with pytest.raises(InvalidInput), new_folder(shelf / "monday", report=reports.append):
        raise InvalidInput("as it may be")
    assert left_on(shelf) == set()


def test_folder_named_like_an_unfinished_backup_is_preserved(shelf: Path, reports: list[str]) -> None:
    (shelf / ".theirs.unfinished").mkdir(parents=True)
    with new_folder(shelf / "monday", report=reports.append):
        pass
    assert left_on(shelf) == {"monday", ".theirs.unfinished"}


def test_only_the_folder_of_a_killed_backup_is_removed(shelf: Path, reports: list[str]) -> None:
    killed = shelf / ".monday.unfinished"
    killed.mkdir(parents=True)
    (shelf / ".monday.backup-lock").write_text(str(killed.stat().st_ino))
    theirs = shelf / ".notes.unfinished"
    theirs.mkdir()
    (theirs / "notes.md").write_text("not of a backup")
    (shelf / ".notes.backup-lock").touch()
    with new_folder(shelf / "tuesday", report=reports.append):
        pass
    assert not killed.exists()
    assert (theirs / "notes.md").exists()
    assert [line.partition(" ")[0] for line in sorted(reports)] == [str(killed), str(theirs)]
