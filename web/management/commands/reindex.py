"""Build and manage another generation of the vector index."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import Conflict, InvalidInput
from web.cli import reindex_client
from web.cli.api_client import Api, Json
from web.cli.progress_bar import progress_bar
from web.cli.server_connection import Connected, client
from web.management.base import SOME_FAILED, CairnCommand, gold_file, knowledge_bases


class Command(CairnCommand):
    help = (
        "Rebuild the vector index in the background, with another embedding model or with the same one "
        "to make it compact and fast. Resumes an interrupted build."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--embedding-model", metavar="NAME", help="name or path (default: the current model)"
        )
        parser.add_argument("--wait", action="store_true", help="wait until the index is built")
        parser.add_argument("--swap", action="store_true", help="activate the index once it is built")
        parser.add_argument(
            "--gold",
            type=Path,
            metavar="GOLD.jsonl",
            help="compare both indexes on these questions first; "
            f"exit code {SOME_FAILED} if results are clearly worse",
        )
        parser.add_argument("--kb", metavar="SLUG", help="knowledge base for --gold")
        parser.add_argument("--force", action="store_true", help="activate even if results are worse")
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument("--status", action="store_true", help="only show the indexes")
        instead.add_argument("--rollback", action="store_true", help="activate the previous index again")
        instead.add_argument("--cancel", action="store_true", help="cancel the index being built")

    def handle(self, *_args: Any, **options: Any) -> None:
        if bool(options["gold"]) != bool(options["kb"]):
            raise InvalidInput("--gold and --kb go together.")
        with client(self.reporter(options), command="manage.py reindex") as connected:
            answer = self._act(connected, options)
        if options["as_json"]:
            self.write_json(answer)
        if answer.get("refused"):
            self.fail("Results are clearly worse. Use --force to activate it anyway.", code=SOME_FAILED)

    def _act(self, connected: Connected, options: dict[str, Any]) -> Json:
        api = connected.api
        if options["cancel"]:
            _cancel(api)
        elif options["rollback"]:
            self._follow(api, reindex_client.rollback(api), "active", options)
        elif not options["status"]:
            return self._build(connected, options)
        return self._show_status(api, options)

    def _build(self, connected: Connected, options: dict[str, Any]) -> Json:
        api = connected.api
        row = reindex_client.build(api, _absolute(options["embedding_model"]))
        refused, comparison = False, None
        if options["wait"] or options["swap"] or options["gold"] or connected.own:
            row = self._follow(api, row, "ready", options)
        if options["gold"]:
            comparison = self._compare(api, options)
            refused = bool(comparison["worse"]) and options["swap"] and not options["force"]
        if options["swap"] and not refused:
            self._follow(api, reindex_client.swap(api, force=options["force"]), "active", options)
        return {**self._show_status(api, options), "comparison": comparison, "refused": refused}

    def _follow(self, api: Api, row: Json, state: str, options: dict[str, Any]) -> Json:
        with progress_bar(sys.stderr, silent=options["as_json"]) as tick:
            return reindex_client.wait_until(api, row["id"], state, tick)

    def _compare(self, api: Api, options: dict[str, Any]) -> Json:
        (base,) = knowledge_bases(api, options["kb"])["knowledge_bases"]
        found = reindex_client.compare(api, base, gold_file(options["gold"]))
        if not options["as_json"]:
            self.stdout.write(f"{'':12} {'present':>8} {'new':>8}   {found['questions']} questions")
            for name, before in found["before"].items():
                mark = "   clearly worse" if name in found["worse"] else ""
                self.stdout.write(f"{name:12} {_number(before)} {_number(found['after'][name])}{mark}")
        return found

    def _show_status(self, api: Api, options: dict[str, Any]) -> Json:
        shown = reindex_client.status(api)
        if not options["as_json"]:
            for row in shown["generations"]:
                self.stdout.write(_line(row))
            if shown["note"]:
                self.stdout.write(self.style.WARNING(shown["note"]))
        return shown


def _cancel(api: Api) -> None:
    row = reindex_client.in_state(reindex_client.status(api), "building", "ready")
    if row is None:
        raise Conflict("No generation of the index is being built.")
    reindex_client.cancel(api, row["id"])


def _absolute(model: str | None) -> str | None:
    """Return an absolute path, as the server has another working directory."""
    return str(Path(model).expanduser().resolve()) if model and Path(model).expanduser().is_dir() else model


def _number(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.3f}':>8}"


def _line(row: Json) -> str:
    state = f"{row['state']}, paused" if row["paused"] else row["state"]
    problem = f"  {row['error']}" if row["error"] else ""
    return f"{row['name']}  {state:16} {row['done']}/{row['total']} chunks  {row['embedding_model']}{problem}"
