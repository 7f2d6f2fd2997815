"""The end of a process that serves, as SIGINT and SIGTERM ask for it."""

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked for the end; not an Exception, so that nothing on the way takes it for an error."""


def stop_on_signals() -> None:
    """The first one ends cleanly, the second at once."""

    def at_once(number: int, _frame: FrameType | None) -> None:
        os._exit(128 + number)

    def cleanly(_number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, at_once)
        raise Stopped

    for each in SIGNALS:
        signal.signal(each, cleanly)
