"""The folder of a backup has one writer."""

from pathlib import Path

import pytest

from cairn.errors import Conflict, InvalidInput
from tests.web.backup.running import left_on
from web.backup.destination import new_folder


@pytest.fixture
def said() -> list[str]:
    return []


def test_concurrent_writer_is_rejected(shelf: Path, said: list[str]) -> None:
    target = shelf / "monday"
    with new_folder(target, report=said.append) as folder:
        (folder / "x").write_text("one")
        with pytest.raises(Conflict, match="Another backup"), new_folder(target, report=said.append):
            pass
        with new_folder(shelf / "tuesday", report=said.append):
            pass
        assert (folder / "x").read_text() == "one"
    assert (target / "x").read_text() == "one"
    assert left_on(shelf) == {"monday", "tuesday"}
    assert said == []


def test_failed_backup_leaves_nothing(shelf: Path, said: list[str]) -> None:
    with pytest.raises(InvalidInput), new_folder(shelf / "monday", report=said.append):
        raise InvalidInput("as it may be")
    assert left_on(shelf) == set()


def test_folder_named_like_an_unfinished_backup_is_preserved(shelf: Path, said: list[str]) -> None:
    (shelf / ".theirs.unfinished").mkdir(parents=True)
    with new_folder(shelf / "monday", report=said.append):
        pass
    assert left_on(shelf) == {"monday", ".theirs.unfinished"}


def test_only_the_folder_of_a_killed_backup_is_removed(shelf: Path, said: list[str]) -> None:
    killed = shelf / ".monday.unfinished"
    killed.mkdir(parents=True)
    (shelf / ".monday.backup-lock").write_text(str(killed.stat().st_ino))
    theirs = shelf / ".notes.unfinished"
    theirs.mkdir()
    (theirs / "notes.md").write_text("not of a backup")
    (shelf / ".notes.backup-lock").touch()
    with new_folder(shelf / "tuesday", report=said.append):
        pass
    assert not killed.exists()
    assert (theirs / "notes.md").exists()
    assert [line.partition(" ")[0] for line in sorted(said)] == [str(killed), str(theirs)]
