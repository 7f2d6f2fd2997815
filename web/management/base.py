"""Base class of Cairn's commands: --json, exit codes, and one-line errors."""

import argparse
import json
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from cairn.errors import CairnError, InvalidInput
from retrieval.evaluation.gold_file import GoldQuestion, gold_questions
from web.cli.api_client import Api, Json
from web.cli.folder_upload import knowledge_base_id
from web.processes.progress_report import PlainReporter, Reporter, RichReporter, SilentReporter

FAILED, SOME_FAILED, INTERRUPTED = 1, 3, 130
NOBODY_READS = 141  # as shells report a program ended by a broken pipe
_DJANGO_ONLY = {
    "version",
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}


class CairnCommand(BaseCommand):
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        for action in parser._actions:  # Django's own options would bury the few of this command
            if action.dest in _DJANGO_ONLY:
                action.help = argparse.SUPPRESS
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        code = 0
        try:
            super().run_from_argv(argv)
            sys.stdout.flush()
        except BrokenPipeError:
            if not _nobody_reads():
                raise
            code = NOBODY_READS
        except SystemExit as leaving:
            if isinstance(leaving.code, str):  # Python prints it
                raise
            code = leaving.code or 0
        leave(code)

    def execute(self, *args: Any, **options: Any) -> None:
        try:
            super().execute(*args, **options)
        except CairnError as error:
            self.fail(error.message)
        except KeyboardInterrupt:
            self.fail("Interrupted.", code=INTERRUPTED)

    def fail(self, message: str, *, code: int = FAILED) -> NoReturn:
        self.stderr.write(self.style.ERROR(f"error: {message}"))
        sys.exit(code)

    def write_json(self, answer: object) -> None:
        self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2))

    def reporter(self, options: dict[str, Any]) -> Reporter:
        """Return the reporter for a server started by the command, which does not write to its output."""
        if options["as_json"]:
            return SilentReporter()
        return RichReporter(sys.stderr) if sys.stderr.isatty() else PlainReporter(sys.stderr)


def _nobody_reads() -> bool:
    """Return whether the reader of the output, such as `head`, has closed it."""
    look = select.poll()
    look.register(sys.stdout.fileno(), 0)
    return bool(look.poll(0))


def leave(code: int) -> NoReturn:
    """Exit without cleanup: threads in the models' libraries cannot be stopped and would crash at exit.

    For commands without such libraries, skipping cleanup saves a quarter of a second.
    """
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def knowledge_bases(api: Api, slug: str | None) -> Json:
    """Return the request field that limits a search to one knowledge base; empty for None."""
    if slug is None:
        return {}
    base = knowledge_base_id(api, slug)
    if base is None:
        raise InvalidInput(f"There is no knowledge base “{slug}”.")
    return {"knowledge_bases": [base]}


def add_gold_arguments(parser: CommandParser) -> None:
    """Add the gold questions to ask and the knowledge base that answers them."""
    parser.add_argument(
        "gold",
        type=Path,
        nargs="?",
        metavar="GOLD.jsonl",
        help="questions, one JSON object per line (default: the gold questions from the console)",
    )
    parser.add_argument("--kb", required=True, metavar="SLUG", help="knowledge base to ask")


def gold_file(path: Path) -> list[GoldQuestion]:
    try:
        with path.open(encoding="utf-8") as lines:
            return gold_questions(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}") from error
