"""`models`: check the configured models, or install another language model."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from cairn.inference.chat_model_install import MODEL_OVERRULED, choose_chat_model
from cairn.inference.model_checks import Report, reports
from cairn.settings import environment
from cairn.settings.chat_models import NAMES
from web.management.base import SOME_FAILED, CairnCommand


class Command(CairnCommand):
    help = "Check the configured models with a tiny test request, or install another language model."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        check = actions.add_parser("check", help="request one token, vector or score from each model")
        check.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

        install = actions.add_parser("install", help="install a language model, for all later starts")
        install.add_argument("name", metavar="NAME", help=", ".join(NAMES))

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["action"] == "install":
            self._install(options["name"])
        else:
            self._check(options)

    def _install(self, name: str) -> None:
        choose_chat_model(name, environment().data_dir, lambda text: self.stderr.write(text))
        overruled = environment().local_chat_model != name
        self.stdout.write(MODEL_OVERRULED if overruled else f"Cairn uses {name} from its next start on.")

    def _check(self, options: dict[str, Any]) -> None:
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
