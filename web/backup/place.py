"""Where a backup is written: a folder that has another name until it is whole, and one writer."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cairn.errors import CairnError, Conflict, InvalidInput
from web.backup.layout import sync

_UNFINISHED: Final = ".unfinished"
_LOCK: Final = ".backup-lock"
Say = Callable[[str], None]


@contextmanager
def new_folder(target: Path, *, tell: Say) -> Iterator[Path]:
    """Is `target` in the end. Clears away what backups that were killed left beside it.

    Raises CairnError with nothing left behind: InvalidInput where something is there already, Conflict while
    another process writes there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent, tell)
        with _held(_beside(target, _LOCK)) as alone:
            if not alone:
                raise Conflict(f"Another backup to {target} is being made.")
            if target.exists():
                raise InvalidInput(f"{target} is there already. A backup gets a folder of its own.")
            with _made(_beside(target, _UNFINISHED), _beside(target, _LOCK)) as folder:
                yield folder
                folder.rename(target)
                sync(target.parent)
    except OSError as error:
        raise CairnError(f"The backup cannot be written: {error}") from error


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}{suffix}")


@contextmanager
def _made(folder: Path, lock: Path) -> Iterator[Path]:
    """The lock names the folder by its inode, so that only this folder is cleared away later."""
    folder.mkdir(mode=0o700)
    lock.write_text(_identity(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path, tell: Say) -> None:
    """The operating system frees a lock with its process: who can take it knows that nobody writes there."""
    for lock in parent.glob(f".*{_LOCK}"):
        with suppress(PermissionError), _held(lock) as alone:  # somebody else's may lie there, too
            left = lock.with_name(lock.name.removesuffix(_LOCK) + _UNFINISHED)
            if not alone or not left.exists():
                continue
            if lock.read_text() == _identity(left):
                shutil.rmtree(left)
                tell(f"{left} is removed: a backup that was interrupted")
            else:
                tell(f"{left} may be a backup that was interrupted. It is not removed: look at it yourself.")


def _identity(folder: Path) -> str:
    return str(folder.stat().st_ino)


@contextmanager
def _held(lock: Path) -> Iterator[bool]:
    """Whether nobody else has it. It is removed where it was had."""
    descriptor = _opened(lock)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _opened(lock: Path) -> int | None:
    """Again where the one who had it has removed it meanwhile: a lock without a name keeps nobody out."""
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
