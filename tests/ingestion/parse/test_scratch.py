"""The work folder of a parser process; test_confine covers access to it."""

import os
import shutil
from pathlib import Path

import pytest

from ingestion.parse.sandbox import workdir
from ingestion.parse.sandbox.workdir import Scratch


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document"
    path.write_text("the document")
    return path


@pytest.fixture
def work_folder(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch")


def test_lent_file_and_its_byproducts_are_removed(work_folder: Scratch, document: Path) -> None:
    with work_folder.lend(document) as path:
        assert path.read_text() == "the document"
        (work_folder.work / "deep" / "er").mkdir(parents=True)
        (work_folder.work / "deep" / "er" / "page").touch()
        (work_folder.work / "link").symlink_to(document.parent)
    assert list(work_folder.inbox.iterdir()) == list(work_folder.work.iterdir()) == []
    assert document.read_text() == "the document"


def test_work_folder_is_overfull_by_size(work_folder: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workdir, "MOST_BYTES", 1000)
    (work_folder.work / "deep").mkdir()
    (work_folder.work / "deep" / "page").write_bytes(bytes(1000))
    assert not work_folder.is_overfull()
    (work_folder.work / "more").write_bytes(b"x")
    assert work_folder.is_overfull()


def test_work_folder_is_overfull_by_number_of_files(
    work_folder: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workdir, "_MOST_FILES", 2)
    for name in ("a", "b"):
        (work_folder.work / name).touch()
    assert not work_folder.is_overfull()
    (work_folder.work / "c").touch()
    assert work_folder.is_overfull()


def test_files_elsewhere_do_not_count_towards_the_limit(
    work_folder: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workdir, "MOST_BYTES", 1000)
    (tmp_path / "large").write_bytes(bytes(5000))
    (work_folder.work / "link").symlink_to(tmp_path / "large")
    (work_folder.work / "folder").symlink_to(tmp_path)
    assert not work_folder.is_overfull()


def test_removed_scratch_is_replaced_by_another(work_folder: Scratch, tmp_path: Path) -> None:
    other = Scratch(tmp_path / "scratch")
    work_folder.remove()
    assert list((tmp_path / "scratch").iterdir()) == [other.root]
    other.remove()


def test_only_folders_of_parsers_are_swept(tmp_path: Path) -> None:
    (tmp_path / "someone's").mkdir()
    workdir.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["someone's"]


def test_sweep_preserves_folders_named_like_parser_folders(tmp_path: Path) -> None:
    """Other programs store data in the system's folder for temporary files, too."""
    theirs = tmp_path / "parser-output"
    (theirs / "in").mkdir(parents=True)
    (theirs / "in" / "thesis.md").write_text("three years of work")
    left = Scratch(tmp_path)
    os.close(left._lock)  # its process was killed
    copied = tmp_path / "parser-copy"
    shutil.copytree(left.root, copied)
    workdir.sweep(tmp_path)
    assert not left.root.exists()
    assert (theirs / "in" / "thesis.md").exists()
    assert copied.exists()
