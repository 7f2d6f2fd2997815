"""Walking a folder that others may write into."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cairn.errors import InvalidInput
from ingestion.watch_folders.filesystem import FolderWalk, watchable
from tests.ingestion.conftest import allow_watching


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_files_are_named_after_their_folder(tmp_path: Path) -> None:
    walk = FolderWalk(tree(tmp_path / "drive", "b.md", "a/c.md", ".git/config", "a/.hidden"))
    found = {file.source_uri: file.size for file in walk}
    assert found == {"drive/b.md": 4, "drive/a/c.md": 6}
    assert walk.hidden == 2


def test_file_is_read_by_its_descriptor(tmp_path: Path) -> None:
    for file in FolderWalk(tree(tmp_path / "drive", "a/b.md")):
        with file.open() as stream:
            assert stream.read() == b"a/b.md"


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tree(tmp_path / "secret", "passwords.txt")
    drive = tree(tmp_path / "drive", "a.md")
    (drive / "link.md").symlink_to(secret / "passwords.txt")
    (drive / "folder").symlink_to(secret)
    (drive / "up").symlink_to(tmp_path)
    walk = FolderWalk(drive)
    assert [file.source_uri for file in walk] == ["drive/a.md"]
    assert walk.links == 3


def test_link_replacing_a_file_is_not_followed(tmp_path: Path) -> None:
    secret = tree(tmp_path / "secret", "passwords.txt")
    drive = tree(tmp_path / "drive", "a.md")
    for file in FolderWalk(drive):
        (drive / "a.md").unlink()
        (drive / "a.md").symlink_to(secret / "passwords.txt")
        with pytest.raises(OSError, match="symbolic links"), file.open():
            pass


def test_folder_replaced_by_a_link_during_the_walk_is_not_followed(tmp_path: Path) -> None:
    secret = tree(tmp_path / "secret", "a.md")
    (secret / "a.md").write_text("secret")
    drive = tree(tmp_path / "drive", "in/a.md")
    for file in FolderWalk(drive):
        (drive / "in").rename(tmp_path / "away")
        (drive / "in").symlink_to(secret)
        with file.open() as stream:
            assert stream.read() == b"in/a.md"


def test_walk_stops_at_a_maximum_depth(tmp_path: Path) -> None:
    drive = tree(tmp_path / "drive", "a.md")
    at = os.open(drive, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        at, above = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(at)
    walk = FolderWalk(drive)
    assert [file.name for file in walk] == ["a.md"]
    assert [reason for _, reason in walk.unreadable] == ["Nested too deeply"]
    subprocess.run(["/bin/rm", "-rf", str(drive)], check=True)  # pytest's own cleaning would not get there


def test_special_files_are_ignored(tmp_path: Path) -> None:
    drive = tree(tmp_path / "drive", "a.md")
    os.mkfifo(drive / "pipe")
    assert [file.name for file in FolderWalk(drive)] == ["a.md"]


def test_only_folders_under_the_roots_may_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "root/drive/a.md", "elsewhere/b.md", "rootlet/c.md")
    with pytest.raises(InvalidInput, match="WATCH_ROOTS isn’t set"):
        watchable(str(tmp_path / "root/drive"))
    allow_watching(monkeypatch, tmp_path / "root")
    (tmp_path / "root/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/in").symlink_to(tmp_path / "root/drive")
    assert watchable(str(tmp_path / "root/drive")) == tmp_path / "root/drive"
    assert watchable(str(tmp_path / "root/in")) == tmp_path / "root/drive"
    refused: list[Any] = [
        tmp_path / "root/out", tmp_path / "root/../elsewhere", tmp_path / "rootlet", tmp_path / "root/none",
        tmp_path / "root/drive/a.md", "drive", "/etc", "root\0x",
    ]  # fmt: skip
    for path in refused:
        with pytest.raises(InvalidInput):
            watchable(str(path))
