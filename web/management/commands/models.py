"""`models check`: test each configured model and its settings."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from cairn.inference.model_checks import Report, reports
from cairn.settings import environment
from web.management.base import SOME_FAILED, CairnCommand


class Command(CairnCommand):
    help = "Check the configured models with a tiny test request."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        check = actions.add_parser("check", help="request one token, vector or score from each model")
        check.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

    def handle(self, *_args: Any, **options: Any) -> None:
        found = []
        for report in reports(environment()):
            found.append(report)
            if not options["as_json"]:
                self._print(report)
        healthy = all(report.ok for report in found)
        if options["as_json"]:
            self.write_json({"ok": healthy, "models": [_answer(report) for report in found]})
        if not healthy:
            sys.exit(SOME_FAILED)

    def _print(self, report: Report) -> None:
        mark = self.style.SUCCESS("ok    ") if report.ok else self.style.ERROR("FAILED")
        self.stdout.write(f"{mark}  {report.kind:<10}  {report.model}, {report.where}")
        for line in (report.problem, *_facts(report), *report.remarks):
            if line:
                self.stdout.write(f"                    {line}")


def _answer(report: Report) -> dict[str, Any]:
    return {**asdict(report), "ok": report.ok}


def _facts(report: Report) -> Iterator[str]:
    if report.milliseconds is not None:
        yield f"answered within {report.milliseconds} ms"
    if report.served:
        yield f"serves {', '.join(report.served)}"
    if report.context_tokens is not None:
        yield f"context of {report.context_tokens} tokens"
    if report.dimension is not None:
        yield f"vectors of {report.dimension} numbers"
    if report.system_role is not None:
        yield f"system role: {_yes(report.system_role)}; turns: {_yes(bool(report.alternates))}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
