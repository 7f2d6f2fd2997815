"""Upload files, folders and ZIP archives into a knowledge base."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from web.cli.folder_upload import Summary, ingest, knowledge_base_ensure
from web.cli.local_files import find_files
from web.cli.progress_bar import progress_bar
from web.cli.server_connection import Connected, client
from web.management.base import INTERRUPTED, SOME_FAILED, CairnCommand


class Command(CairnCommand):
    help = "Add files, folders or ZIP archives to a knowledge base, creating it if necessary."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file, folder or ZIP archive")
        parser.add_argument("--kb", required=True, metavar="SLUG", help="knowledge base, such as handbook")
        parser.add_argument(
            "--wait", action="store_true", help="wait until every document is ready or has failed"
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="remove documents from these folders whose files no longer exist",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        found = find_files(options["paths"])
        summary = Summary()
        with client(self.reporter(options), command="manage.py ingest") as connected:
            try:
                with progress_bar(sys.stderr, silent=options["as_json"]) as tick:
                    base = knowledge_base_ensure(connected.api, options["kb"])
                    ingest(
                        connected.api,
                        base,
                        found,
                        summary,
                        tick,
                        wait_for=options["wait"] or connected.own,  # a server of our own ends with us
                        prune=options["prune"],
                        watched=not options["as_json"],
                    )
            except KeyboardInterrupt:
                self.fail(_interruption_message(connected), code=INTERRUPTED)
        self._print(summary, as_json=options["as_json"])
        if summary.failed:
            sys.exit(SOME_FAILED)

    def _print(self, summary: Summary, *, as_json: bool) -> None:
        if as_json:
            self.write_json(asdict(summary))
            return
        for uri in summary.vanished:
            self.stdout.write(f"{uri}: file no longer exists; --prune removes the document")
        for failure in summary.failed:
            self.stdout.write(f"{failure.source_uri}: {failure.code}: {failure.message}")
        self.stdout.write(str(summary))


def _interruption_message(connected: Connected) -> str:
    where = "at the next start" if connected.own else f"in the server at {connected.api.url}"
    return f"Interrupted. What was uploaded is safe, and processing goes on {where}."
