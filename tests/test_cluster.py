"""The data that `make cluster` reuses from one start to the next."""

import os
import shutil
from pathlib import Path

import pytest

from tests.cluster.processes import postgres_folder


def test_postgres_folder_is_reused_and_recreated_with_its_cluster(
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


def test_postgres_folder_is_inside_the_cluster_folder_without_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres_folder(tmp_path) == tmp_path / "postgres"
