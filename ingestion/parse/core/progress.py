"""Progress of parsing, reported by parsers and passed on to the parent process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

PagesRead = Callable[[int, int], None]
"""Called with the pages done and all pages."""

_SECONDS_BETWEEN: Final = 0.5


class Throttled:
    """Pass on calls at most twice a second."""

    def __init__(self, report: PagesRead) -> None:
        self._report = report
        self._last = -_SECONDS_BETWEEN

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN:
            self._last = now
            self._report(done, total)


def nobody(_done: int, _total: int) -> None:
    pass


_listener: ContextVar[PagesRead] = ContextVar("listener", default=nobody)


def report(done: int, total: int) -> None:
    _listener.get()(done, total)


@contextmanager
def report_to(listener: PagesRead) -> Iterator[None]:
    token = _listener.set(Throttled(listener))
    try:
        yield
    finally:
        _listener.reset(token)
