"""Folders under DATA_DIR with files derived from a model: exported graphs, converted weights."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

_SAMPLE_BYTES = 1 << 20


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, built first if it is missing. It appears atomically."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        build(draft)
        _rename_unless_there(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _rename_unless_there(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, and its result is as good
            raise


def sync_folder(folder: Path) -> None:
    """Flush all files of the folder to disk, so that a power cut after its renaming loses nothing."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def fingerprint(files: Iterable[Path]) -> str:
    """Short hash of names, sizes, and both ends of each file: milliseconds even for gigabytes of weights."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size};".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(_SAMPLE_BYTES))
            stream.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:10]
