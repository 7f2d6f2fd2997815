"""Verify and export the audit log."""

import re
import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser
from django.db import OperationalError

from cairn.audit.hash_chain import ChainEnd, ChainStatus, verify
from cairn.audit.models import Event
from cairn.errors import InvalidInput
from web.exports.audit_log import FORMATS, export
from web.management.base import FAILED, CairnCommand

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


class Command(CairnCommand):
    help = "Verify or export the audit log. Exit code 1: an entry was changed, removed or added."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("verify", "export"))
        parser.add_argument(
            "--head",
            metavar="COUNT:HASH",
            help="head printed by an earlier verification and kept elsewhere",
        )
        parser.add_argument(
            "--format", choices=list(FORMATS), default="jsonl", help="export format (default: %(default)s)"
        )
        parser.add_argument(
            "--action", default="", help="export only these actions, such as grant or grant.given"
        )
        parser.add_argument(
            "--subject", default="", help="export only events about this object, such as user:ID"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        steps: dict[str, Callable[[dict[str, Any]], None]] = {"verify": self._verify, "export": self._export}
        try:
            steps[options["what"]](options)
        except OperationalError as error:
            raise InvalidInput("There's no database yet. Start Cairn once.") from error

    def _verify(self, options: dict[str, Any]) -> None:
        verdict = verify([_head(options["head"])] if options["head"] else [])
        if options["as_json"]:
            self.write_json(_as_json(verdict))
        else:
            self._print(verdict)
        if verdict.problem or verdict.overdue:
            sys.exit(FAILED)

    def _print(self, verdict: ChainStatus) -> None:
        if verdict.problem:
            self.stderr.write(self.style.ERROR(f"error: {verdict.problem}"))
            return
        self.stdout.write(f"{verdict.count} events verified; {verdict.unsealed} not sealed yet")
        self.stdout.write(f"head {verdict.count}:{verdict.hash}")
        if verdict.overdue:
            late = (
                f"error: {verdict.overdue} events have been waiting for over ten minutes. "
                "Are a worker and beat running?"
            )
            self.stderr.write(self.style.ERROR(late))

    def _export(self, options: dict[str, Any]) -> None:
        events = Event.objects.matching(action=options["action"], subject=options["subject"])
        for part in export(events, options["format"]):
            self.stdout.write(part, ending="")


def _head(text: str) -> ChainEnd:
    found = _HEAD.fullmatch(text)
    if found is None:
        raise InvalidInput("--head takes what `audit verify` has printed: a number, a colon and 64 digits.")
    return ChainEnd(int(found[1]), found[2], "--head")


def _as_json(verdict: ChainStatus) -> dict[str, object]:
    return {
        "ok": not (verdict.problem or verdict.overdue),
        "count": verdict.count,
        "hash": verdict.hash,
        "unsealed": verdict.unsealed,
        "overdue": verdict.overdue,
        "broken_at": verdict.broken_at,
        "problem": verdict.problem,
    }
