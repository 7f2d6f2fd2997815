"""How good search and answers are on questions whose answers are known."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import InvalidInput
from retrieval.evaluation.measures import fails, measures
from web.management.base import SOME_FAILED, CairnCommand, gold_file, knowledge_bases
from web.runtime.api import Json
from web.runtime.bar import progress_bar
from web.runtime.client import client
from web.runtime.evaluating import changes, outcomes_of, report

_NAMES = tuple(measures([]))


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or name not in _NAMES:
        raise argparse.ArgumentTypeError(f"write it as METRIC=VALUE; metrics are {', '.join(_NAMES)}")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{value}” is no number") from None


class Command(CairnCommand):
    help = "Ask questions whose answers are known, and measure search, citations, refusals and times."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "gold", type=Path, metavar="GOLD.jsonl", help="a JSON object per line: the questions"
        )
        parser.add_argument("--kb", required=True, metavar="SLUG", help="knowledge base that is asked")
        parser.add_argument(
            "--baseline", type=Path, metavar="RUN.json", help="compare with what --json gave before"
        )
        parser.add_argument(
            "--fail-under",
            type=_limit,
            action="append",
            default=[],
            metavar="METRIC=VALUE",
            help=f"exit code {SOME_FAILED} if it is worse; may be given several times",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        questions = gold_file(options["gold"])
        before = _run(options["baseline"]) if options["baseline"] else None
        with client(self.reporter(options), command="manage.py evaluate") as connected:
            (base,) = knowledge_bases(connected.api, options["kb"])["knowledge_bases"]
            with progress_bar(sys.stderr, silent=options["as_json"]) as tick:
                run = report(list(outcomes_of(connected.api, base, questions, tick)))
        if before is not None:
            run["baseline"] = {"measures": before["measures"], **changes(run, before)}
        self._tell(run, as_json=options["as_json"])
        below = fails(run["measures"], dict(options["fail_under"]))
        if below:
            self.fail(f"Worse than wanted: {', '.join(below)}", code=SOME_FAILED)

    def _tell(self, run: Json, *, as_json: bool) -> None:
        if as_json:
            self.write_json(run)
            return
        compared: Json = run.get("baseline") or {}
        for name, value in run["measures"].items():
            was = f"   before {_number(compared['measures'].get(name))}" if compared else ""
            self.stdout.write(f"{name:20} {_number(value):>10}{was}")
        wrong = [outcome for outcome in run["outcomes"] if not outcome["right"]]
        self.stdout.write(f"\n{run['questions']} questions, {len(wrong)} not as they should be:")
        for outcome in wrong:
            self.stdout.write(f"  {outcome['id']}: {_what(outcome)}")
        for word in ("better", "worse") if compared else ():
            self.stdout.write(f"{word} than before: {', '.join(compared[word]) or 'none'}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _what(outcome: Json) -> str:
    if not outcome["relevant"]:
        return "answered, though no document tells"
    if outcome["refused"]:
        return f"refused; its document is at place {outcome['rank'] or 'none'}"
    return f"the answer lacks what it must have; its document is at place {outcome['rank'] or 'none'}"


def _run(path: Path) -> Json:
    try:
        run: Json = json.loads(path.read_text(encoding="utf-8"))
        changes(run, run)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} is not what evaluate --json printed.") from error
    return run
