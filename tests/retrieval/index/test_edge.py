"""The embedded index only: a folder, owned by one process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cairn.errors import ConfigurationError, Unavailable
from retrieval.index import qdrant_edge
from retrieval.index.qdrant_edge import EdgeIndex
from tests.retrieval.index.points import DIMENSION, USER, ask, found, point, scope

ROOT = Path(__file__).resolve().parents[3]

WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from uuid import UUID
from retrieval.index.qdrant_edge import EdgeIndex
from tests.retrieval.index.points import DIMENSION, USER, point

index = EdgeIndex.create(Path(sys.argv[1]), dimension=DIMENSION)
kept, gone, changed = map(UUID, sys.argv[2:])
index.upsert([point(document=document) for document in (kept, gone, changed) for _ in range(100)])
index.delete_document(gone)
index.set_fields(changed, readers=(USER,), tags=())
print("written", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[EdgeIndex]:
    made = EdgeIndex.create(folder, dimension=DIMENSION)
    yield made
    made.close()


def run_child(code: str, *arguments: str) -> "subprocess.Popen[str]":
    search_path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": search_path},
    )


def test_reopened_index_has_the_same_points(index: EdgeIndex, folder: Path) -> None:
    first, closed = point(), point(readers=())
    index.upsert([first, closed])
    index.close()
    again = EdgeIndex.open(folder, dimension=DIMENSION)
    assert again.count() == 2
    assert found(again) == {first.id}
    again.close()


def test_written_points_survive_a_kill(folder: Path) -> None:
    kept, gone, changed = uuid4(), uuid4(), uuid4()
    child = run_child(WRITE_AND_WAIT, str(folder), str(kept), str(gone), str(changed))
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    child.kill()
    child.communicate()
    index = EdgeIndex.open(folder, dimension=DIMENSION)
    assert [index.count(document=document) for document in (kept, gone, changed)] == [100, 0, 100]
    assert len(ask(index, limit=500).dense) == 100
    assert len(ask(index, scope(tokens=[USER]), limit=500).dense) == 200
    index.close()


def test_every_write_is_synced_to_disk_before_it_returns(
    index: EdgeIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unlike a kill, a power failure loses what is only in the kernel's cache: the log itself must be
    synced."""
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    writes: list[Callable[[], None]] = [
        lambda: index.upsert([point()]),
        lambda: index.delete_version(uuid4()),
        lambda: index.set_fields(uuid4(), readers=(), tags=()),
    ]
    for write in writes:
        synced.clear()
        write()
        assert {str(path) for path in (folder / "wal").iterdir()} <= set(synced)
        assert any("open-" in path for path in synced)


def test_write_ahead_log_is_flushed_regularly(
    index: EdgeIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_edge, "FLUSH_AFTER", 100)
    for _ in range(3):
        index.upsert([point() for _ in range(60)])
    assert index._unflushed < 100
    assert index.count() == 180


def test_second_process_gets_an_index_in_use_error(index: EdgeIndex, folder: Path) -> None:
    code = """
import sys
from pathlib import Path
from cairn.errors import ConfigurationError
from retrieval.index.qdrant_edge import EdgeIndex
try:
    EdgeIndex.open(Path(sys.argv[1]), dimension=8)
except ConfigurationError as error:
    print(error.message)
"""
    output, _ = run_child(code, str(folder)).communicate(timeout=60)
    assert "in use by another process" in output


def test_other_dimension_is_a_configuration_error(index: EdgeIndex, folder: Path) -> None:
    index.close()
    with pytest.raises(ConfigurationError, match="different vectors"):
        EdgeIndex.open(folder, dimension=DIMENSION * 2)


def test_missing_folder_is_not_recreated(folder: Path) -> None:
    with pytest.raises(Unavailable, match="lost its data"):
        EdgeIndex.open(folder, dimension=DIMENSION)
    assert not folder.exists()


def test_emptied_folder_is_not_recreated(index: EdgeIndex, folder: Path) -> None:
    index.close()
    shutil.rmtree(folder)
    folder.mkdir()
    for _ in range(2):
        with pytest.raises(Unavailable):
            EdgeIndex.open(folder, dimension=DIMENSION)


@pytest.mark.parametrize("part", ["segments", "edge_config.json", "segments/*/segment.json"])
def test_damaged_folder_is_unavailable(index: EdgeIndex, folder: Path, part: str) -> None:
    index.upsert([point() for _ in range(5)])
    index.close()
    for path in folder.glob(part):
        shutil.rmtree(path) if path.is_dir() else path.write_bytes(b"\x00garbage")
    for _ in range(2):
        with pytest.raises(Unavailable):
            EdgeIndex.open(folder, dimension=DIMENSION)


def test_data_is_never_created_over(index: EdgeIndex, folder: Path) -> None:
    index.upsert([point()])
    index.close()
    with pytest.raises(Unavailable, match="not empty"):
        EdgeIndex.create(folder, dimension=DIMENSION)


def test_type_error_in_a_call_does_not_mark_the_index_as_broken(index: EdgeIndex) -> None:
    with pytest.raises(TypeError):
        index.upsert([point(source_uri=object())])
