"""Cairn in one process."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import CairnError
from web.management.base import FAILED, CairnCommand, leave
from web.runtime.progress import reporter_for
from web.runtime.runtime import Runtime

_END_SECONDS = 4.5


class Stopped(BaseException):
    """A signal asked for the end; not an Exception, so that nothing on the way takes it for an error."""


class Command(CairnCommand):
    help = "Start Cairn: web, workers, vector index and models in one process. Ctrl-C ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (%(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (%(default)s)")

    def handle(self, *_args: Any, **options: Any) -> None:
        reporter = reporter_for(sys.stdout, as_json=options["as_json"])
        runtime = Runtime(host=options["host"], port=options["port"], reporter=reporter)
        _stop_on_signals()
        leave(self._serve(runtime))

    def _serve(self, runtime: Runtime) -> int:
        problem = ""
        try:
            runtime.start()
            runtime.wait_ready()
            runtime.wait()
        except Stopped:
            _end_in_any_case()
        except CairnError as error:
            problem = error.message
        finally:
            runtime.stop()
        if problem:
            self.stderr.write(self.style.ERROR(f"error: {problem}"))
        return FAILED if problem else 0


def _end_in_any_case() -> None:
    """On a machine that is too busy for a clean end. Nothing is lost: the next start takes up the jobs."""
    watchdog = threading.Timer(_END_SECONDS, leave, args=(0,))
    watchdog.daemon = True
    watchdog.start()


def _stop_on_signals() -> None:
    """The first one ends cleanly, the second at once."""
    signals = (signal.SIGINT, signal.SIGTERM)

    def at_once(number: int, _frame: FrameType | None) -> None:
        os._exit(128 + number)

    def cleanly(_number: int, _frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, at_once)
        raise Stopped

    for each in signals:
        signal.signal(each, cleanly)
