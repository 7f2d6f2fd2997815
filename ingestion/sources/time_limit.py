"""Run work on a source within a time limit, for people who wait for the result."""

import threading
from collections.abc import Callable
from typing import Final

from django.db import connections

from cairn.errors import RateLimited

MAX_CONCURRENT: Final = 4
_free: Final = threading.BoundedSemaphore(MAX_CONCURRENT)


def run_limited(work: Callable[[], None], seconds: float) -> bool:
    """Run in a thread and return whether it ended in time. If not, it runs on until its source answers.

    `work` handles its own errors. Raises RateLimited if too much is running.
    """
    if not _free.acquire(blocking=False):
        raise RateLimited

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()
            _free.release()

    thread = threading.Thread(target=run, name="source-check", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
