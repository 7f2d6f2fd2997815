"""The folder for test data: in memory, if there is room.

An empty vector index alone waits the better part of a second for the disk to have it, and hundreds of tests
make one.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import psutil

_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 8 << 30
_PYTEST: Final = "PYTEST_DEBUG_TEMPROOT"


def write_to_memory() -> None:
    """Use memory for this process and its children. Tests with faults write more, and need real disks."""
    if _PYTEST not in os.environ and _has_room():
        os.environ[_PYTEST] = str(_MEMORY)


def scratch_folder() -> str | None:
    """Return None for the system's folder for temporary files."""
    return os.environ.get(_PYTEST)


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK):
        return False
    return min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) >= _ROOM
