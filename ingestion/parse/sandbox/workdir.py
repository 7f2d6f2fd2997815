"""Temporary folders of parser processes, with the input file and a place to write."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cairn.errors import DocumentRejected, Rejection
from cairn.messages import CodedMessage

_PREFIX: Final = "parser-"
_MARKER: Final = "made-by-cairn"
MOST_BYTES: Final = 512 << 20
"""What one child may keep there."""
_MOST_FILES: Final = 5000
_REMOVALS: Final = 20
_SECONDS_BETWEEN: Final = 0.1


class Scratch:
    """A temporary folder: the child reads from `inbox` and writes to `work`.

    The folder is locked as long as its owner lives, so that abandoned folders can be recognised.
    """

    def __init__(self, base: Path) -> None:
        self.root, self._lock = _claim_folder(base)
        self.inbox, self.work = self.root / "in", self.root / "work"
        self.inbox.mkdir()
        self.work.mkdir()

    @contextlib.contextmanager
    def lend(self, path: Path) -> Iterator[Path]:
        """Provide the file under a name in the inbox, as a hard link if possible, else as a copy."""
        inside = self.inbox / "file"
        try:
            os.link(path, inside)
        except OSError:
            shutil.copyfile(path, inside)
        try:
            yield inside
        finally:
            self._clear()

    def is_overfull(self) -> bool:
        count = size = 0
        for folder, _, names in os.walk(self.work):
            for name in names:
                count += 1
                with contextlib.suppress(OSError):
                    size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 many files
        return count > _MOST_FILES or size > MOST_BYTES

    def remove(self) -> None:
        """Remove the folder, repeatedly if necessary: a program being killed may still write."""
        for _ in range(_REMOVALS):
            shutil.rmtree(self.root, ignore_errors=True)
            if not self.root.exists():
                break
            time.sleep(_SECONDS_BETWEEN)
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def _clear(self) -> None:
        for folder in (self.inbox, self.work):
            for entry in list(folder.iterdir()) if folder.exists() else ():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)


def overfull() -> DocumentRejected:
    return DocumentRejected(Rejection.TOO_LARGE, CodedMessage("too_much_disk", megabytes=MOST_BYTES >> 20))


def sweep(base: Path) -> None:
    """Remove folders of owners that were killed.

    `base` may be the system's folder for temporary files, where a name proves nothing: only folders with the
    marker of `_claim_folder` are Cairn's.
    """
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = _lock_folder(folder)
            if _is_marked(folder, lock):
                shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _is_marked(folder: Path, descriptor: int) -> bool:
    """Return whether the marker has the folder's inode, which distinguishes copies of the folder."""
    status, marker = os.fstat(descriptor), folder / _MARKER
    return status.st_uid == os.geteuid() and marker.is_file() and marker.read_text() == str(status.st_ino)


def _claim_folder(base: Path) -> tuple[Path, int]:
    """Create and lock a folder; retry if a sweep intervenes."""
    base.mkdir(parents=True, exist_ok=True)
    while True:
        root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        with contextlib.suppress(OSError):
            lock = _lock_folder(root)
            if root.exists():
                (root / _MARKER).write_text(str(os.fstat(lock).st_ino))
                return root, lock
            os.close(lock)


def _lock_folder(folder: Path) -> int:
    """Lock the folder. Raises OSError if another process has the lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
