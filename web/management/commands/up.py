"""Run Cairn in one process."""

import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from cairn.errors import CairnError
from cairn.inference.chat_model_install import MODEL_OVERRULED, choose_chat_model
from cairn.settings import environment
from cairn.settings.chat_models import NAMES
from web.management.base import FAILED, CairnCommand, leave
from web.processes.progress_report import reporter_for
from web.processes.signals import Stopped, stop_on_signals
from web.processes.watchdog import supervise

if TYPE_CHECKING:
    from web.processes.embedded import Runtime

_RUNTIME = "web.processes.embedded"  # by name, after the fork: it loads native libraries
_END_SECONDS = 4.5


class Command(CairnCommand):
    help = "Start Cairn: web, workers, vector index and models in one process. Press Ctrl-C to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument(
            "--port",
            type=int,
            default=8000,
            help="port to listen on; 0 picks a free one (default: %(default)s)",
        )

        parser.add_argument("--model", help=f"language model for this and later starts: {', '.join(NAMES)}")

    def handle(self, *_args: Any, **options: Any) -> None:
        if name := options["model"]:  # before the watchdog, which would take a long download for a hang
            choose_chat_model(name, environment().data_dir, self._write_line)
            if environment().local_chat_model != name:
                self._write_line(MODEL_OVERRULED)
        supervise()
        reporter = reporter_for(sys.stdout, as_json=options["as_json"])
        runtime = import_module(_RUNTIME).Runtime(
            host=options["host"], port=options["port"], reporter=reporter
        )
        stop_on_signals()
        leave(self._serve(runtime))

    def _write_line(self, text: str) -> None:
        self.stderr.write(text)

    def _serve(self, runtime: "Runtime") -> int:
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
    """Exit after a timeout on busy machines. Nothing is lost: the next start resumes the jobs."""
    watchdog = threading.Timer(_END_SECONDS, leave, args=(0,))
    watchdog.daemon = True
    watchdog.start()
