"""Run a worker process."""

import sys
from importlib import import_module
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import InvalidInput
from cairn.settings import environment
from web.management.base import CairnCommand, leave
from web.processes import garbage_collection
from web.processes.progress_report import reporter_for
from web.processes.watchdog import supervise

_WORKER = "web.processes.worker_process"  # by name: it takes seconds to import


class Command(CairnCommand):
    help = (
        "Parse, embed and index documents for web processes elsewhere. "
        "Requires a broker, PostgreSQL and Qdrant."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues",
            default="",
            metavar="NAMES",
            help="comma-separated queue names (default: all)",
        )
        parser.add_argument(
            "--concurrency",
            type=int,
            default=environment().worker_threads,
            help="documents processed at the same time (default from WORKER_THREADS: %(default)s)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["concurrency"] < 1:
            raise InvalidInput("--concurrency must be at least 1.")
        queues = [name.strip() for name in options["queues"].split(",") if name.strip()]
        supervise()
        reporter = reporter_for(sys.stdout, as_json=options["as_json"])
        garbage_collection.loading_begins()
        import_module(_WORKER).worker_run(
            queues=queues, concurrency=options["concurrency"], reporter=reporter
        )
        leave(0)
