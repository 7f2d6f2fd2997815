"""Run one or several web processes on one address."""

import argparse
import socket
import sys
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import CairnError, InvalidInput
from web.management.base import FAILED, CairnCommand, leave
from web.processes.http_server import listen
from web.processes.prefork import Group
from web.processes.progress_report import reporter_for
from web.processes.signals import stop_on_signals
from web.processes.watchdog import start_heartbeat, supervise
from web.processes.web_process import Serving, require_shared_settings, serve


class Command(CairnCommand):
    help = (
        "Serve only the pages and the REST API, for several web processes behind a load balancer. Requires "
        "up-to-date tables (manage.py migrate), a broker, PostgreSQL and Qdrant."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument(
            "--port",
            type=int,
            default=8000,
            help="port to listen on; 0 picks a free one (default: %(default)s)",
        )
        parser.add_argument(
            "--workers", type=int, default=1, help="number of processes (default: %(default)s)"
        )
        parser.add_argument(
            "--listener", type=int, help="file descriptor of an open socket, instead of an address"
        )
        parser.add_argument("--heartbeat", type=int, help=argparse.SUPPRESS)  # for the processes of a group

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["workers"] < 1:
            raise InvalidInput("--workers must be at least 1.")
        require_shared_settings()
        if options["heartbeat"] is not None:
            start_heartbeat(options["heartbeat"])
        elif options["workers"] == 1:
            supervise()
        stop_on_signals()
        leave(self._run(_listener(options), options))

    def _run(self, listener: socket.socket, options: dict[str, Any]) -> int:
        reporter = reporter_for(sys.stdout, as_json=options["as_json"])
        try:
            if options["workers"] > 1:
                json = ["--json"] if options["as_json"] else []
                command = [sys.argv[0], "web", *json, "--listener"]
                return Group(listener, options["workers"], command, reporter).run()
            serve(Serving(listener, reporter=reporter))
        except CairnError as error:
            self.stderr.write(self.style.ERROR(f"error: {error.message}"))
            return FAILED
        return 0


def _listener(options: dict[str, Any]) -> socket.socket:
    if options["listener"] is not None:
        return socket.socket(fileno=options["listener"])
    return listen(options["host"], options["port"])
