"""The end of a process, as SIGINT and SIGTERM ask for it."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked for the end; not an Exception, so that nothing on the way takes it for an error."""


def on_signals(first: Callable[[], NoReturn]) -> None:
    """The first one ends as `first` does, which raises; the second ends at once."""

    def at_once(number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    def in_order(_number: int, _frame: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, at_once)
        first()

    for each in SIGNALS:
        signal.signal(each, in_order)


def stop_on_signals() -> None:
    on_signals(_stop)


def _stop() -> NoReturn:
    raise Stopped
