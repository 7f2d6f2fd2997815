"""Keeps other users of the machine out of the data. Older versions left the folder and the database open."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG
from typing import Final

OTHERS: Final = 0o077
_SIDES: Final = ("", "-wal", "-shm", "-journal")


def make_private(data_dir: Path, database: Path | None) -> None:
    """Takes the permissions of group and others away. What this process does not own stays as it is."""
    for path in open_to_others(data_dir, database):
        with suppress(OSError):
            path.chmod(S_IMODE(path.stat().st_mode) & ~OTHERS)


def open_to_others(data_dir: Path, database: Path | None) -> list[Path]:
    """The data folder, the files in it (secrets, logs, the database) and an SQLite database elsewhere."""
    return [path for path in _candidates(data_dir, database) if _is_open(path)]


def _candidates(data_dir: Path, database: Path | None) -> Iterator[Path]:
    yield data_dir
    yield from _entries(data_dir)
    if database is not None and database.parent != data_dir:
        yield from (database.with_name(database.name + side) for side in _SIDES)


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()


def _is_open(path: Path) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return bool(mode & OTHERS) and (S_ISREG(mode) or S_ISDIR(mode))
