"""Open connections of which nobody makes use at the moment."""

import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and not only its name: another may take that."""

    path: Path
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Kept:
    place: Place
    connection: sqlite3.Connection


_lock = threading.Lock()
_idle: list[Kept] = []


def place_of(path: Path) -> Place | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Place(path, found.st_dev, found.st_ino)


def take(place: Place | None) -> sqlite3.Connection | None:
    """The one that was used last, whose pages are in memory."""
    with _lock:
        for kept in reversed(_idle):
            if kept.place == place:
                _idle.remove(kept)
                return kept.connection
    return None


def keep(kept: Kept) -> bool:
    """False if there are enough, or the file has gone: then it is to be closed."""
    if kept.place != place_of(kept.place.path):
        return False
    with _lock:
        if len(_idle) >= _MOST:
            return False
        _idle.append(kept)
    return True


def close_all() -> None:
    with _lock:
        idle = list(_idle)
        _idle.clear()
    for kept in idle:
        kept.connection.close()


os.register_at_fork(after_in_child=_idle.clear)  # what SQLite has open must not be used in another process
