"""The folder of a backup: exclusively locked, and renamed when complete."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cairn.errors import CairnError, Conflict, InvalidInput
from web.backup.manifest import sync

_UNFINISHED: Final = ".unfinished"
_LOCK: Final = ".backup-lock"
Report = Callable[[str], None]


@contextmanager
def new_folder(target: Path, *, report: Report) -> Iterator[Path]:
    """Yield a folder that becomes `target` on success. Removes leftovers of killed backups beside it.

    Raises CairnError with nothing left behind: InvalidInput if the target exists, Conflict while another
    process writes there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent, report)
        with _try_lock(_temporary_sibling(target, _LOCK)) as alone:
            if not alone:
                raise Conflict(f"Another backup to {target} is in progress.")
            if target.exists():
                raise InvalidInput(f"{target} already exists. Choose a new folder for the backup.")
            with _create_folder(
                _temporary_sibling(target, _UNFINISHED), _temporary_sibling(target, _LOCK)
            ) as folder:
                yield folder
                folder.rename(target)
                sync(target.parent)
    except OSError as error:
        raise CairnError(f"The backup couldn't be written: {error}") from error


def _temporary_sibling(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}{suffix}")


@contextmanager
def _create_folder(folder: Path, lock: Path) -> Iterator[Path]:
    """Create the folder. The lock contains its inode, so that only this folder is ever removed."""
    folder.mkdir(mode=0o700)
    lock.write_text(_identity(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path, report: Report) -> None:
    """Remove abandoned folders, whose locks the operating system has released."""
    for lock in parent.glob(f".*{_LOCK}"):
        with suppress(PermissionError), _try_lock(lock) as alone:  # files of others may be there, too
            left = lock.with_name(lock.name.removesuffix(_LOCK) + _UNFINISHED)
            if not alone or not left.exists():
                continue
            if lock.read_text() == _identity(left):
                shutil.rmtree(left)
                report(f"{left} is removed: a backup that was interrupted")
            else:
                report(
                    f"{left} may be a backup that was interrupted. It is not removed: look at it yourself."
                )


def _identity(folder: Path) -> str:
    return str(folder.stat().st_ino)


@contextmanager
def _try_lock(lock: Path) -> Iterator[bool]:
    """Yield whether the lock was acquired. Its file is removed afterwards."""
    descriptor = _open_and_lock(lock)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _open_and_lock(lock: Path) -> int | None:
    """Open and lock the file; retry if its previous owner has just removed it."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.close(descriptor)
