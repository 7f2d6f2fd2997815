"""`models`: check the configured models, or install another."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandParser

from cairn.errors import InvalidInput
from cairn.inference.chat_model_install import MODEL_OVERRULED, choose_chat_model
from cairn.inference.embedding.install import install_embedding_model
from cairn.inference.embedding.model_folder import MULTILINGUAL
from cairn.inference.model_checks import Report, reports
from cairn.settings import environment
from cairn.settings.chat_models import NAMES
from web.management.base import SOME_FAILED, CairnCommand

_INSTALLABLE: Final = (*NAMES, MULTILINGUAL)
_EMBEDDING_INSTALLED: Final = f"""\
{MULTILINGUAL} is installed. To use it:
1. Set EMBEDDING_MODEL={MULTILINGUAL} and restart Cairn. A new installation needs nothing else.
2. Rebuild an existing index: manage.py reindex --embedding-model {MULTILINGUAL} --swap
Until the new index is ready, the current one answers with its own model."""


class Command(CairnCommand):
    help = "Check the configured models with a tiny test request, or install another model."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        check = actions.add_parser("check", help="request one token, vector or score from each model")
        check.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

        install = actions.add_parser(
            "install", help="install a language model for all later starts, or an embedding model"
        )
        install.add_argument("name", metavar="NAME", help=", ".join(_INSTALLABLE))

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["action"] == "install":
            self._install(options["name"])
        else:
            self._check(options)

    def _install(self, name: str) -> None:
        if name not in _INSTALLABLE:
            raise InvalidInput(f"There is no model “{name}”. Available: {', '.join(_INSTALLABLE)}")
        if name == MULTILINGUAL:
            install_embedding_model(environment().data_dir, lambda text: self.stderr.write(text))
            self.stdout.write(_EMBEDDING_INSTALLED)
            return
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
