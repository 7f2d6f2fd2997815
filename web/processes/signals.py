"""Shutdown on SIGINT and SIGTERM."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked to stop. Not an Exception, so that it is not handled as an error."""


def on_signals(first: Callable[[], NoReturn]) -> None:
    """Call `first`, which raises, on the first signal; exit at once on the second."""

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
