"""On the path of a process that a test makes hang. Loaded after this: the one in tests/offline."""

import ctypes
import os
import runpy
import signal
import time
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[1] / "offline" / "sitecustomize.py"))

HOLD, HOLD_BRIEFLY, RELEASE = signal.SIGUSR2, signal.SIGRTMIN + 1, signal.SIGRTMIN + 2
_BRIEFLY_MICROSECONDS = 900_000


def hold(*_: object) -> None:
    """PyDLL does not release the GIL, and no signal interrupts this call."""
    mutex = ctypes.create_string_buffer(256)
    os.write(2, b"about to hold the GIL\n")
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)


def hold_briefly(*_: object) -> None:
    """Hold the GIL briefly, as a long garbage collection does."""
    ctypes.PyDLL(None).usleep(_BRIEFLY_MICROSECONDS)


def release(*_: object) -> None:
    """Release the GIL in C in the main thread, as a slow inference does, while other threads run."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        ctypes.CDLL(None).sleep(1)


signal.signal(HOLD, hold)
signal.signal(HOLD_BRIEFLY, hold_briefly)
signal.signal(RELEASE, release)
