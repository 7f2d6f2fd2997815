"""What `make cluster` keeps from one start to the next."""

import os
import shutil
from pathlib import Path

import pytest

from tests.cluster.processes import postgres_folder


def test_tables_are_found_again_and_do_not_outlive_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "cluster"
    folder.mkdir()
    first = postgres_folder(folder)
    assert postgres_folder(folder) == first != folder / "postgres"
    first.rmdir()
    second = postgres_folder(folder)
    assert second.is_dir()
    shutil.rmtree(folder)
    folder.mkdir()
    assert postgres_folder(folder) not in (first, second)


def test_without_root_tables_are_in_the_folder_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres_folder(tmp_path) == tmp_path / "postgres"
