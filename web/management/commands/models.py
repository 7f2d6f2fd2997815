"""`models`: check the configured models, install another, find its best use, or attack it."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandParser

from cairn.errors import InvalidInput
from cairn.inference.chat_model_install import MODEL_OVERRULED, choose_chat_model
from cairn.inference.embedding.install import install_embedding_model
from cairn.inference.embedding.model_folder import MULTILINGUAL
from cairn.inference.model_checks import Report, reports
from cairn.settings import environment
from cairn.settings.chat_models import NAMES
from cairn.settings.stored.store import chat_model_variable, effective_environment
from retrieval.types import AnswerProfile
from web.cli.evaluation_client import load_gold_set
from web.cli.model_comparison_client import compare_models, describe_comparison
from web.cli.profile_evaluation import Measured, ProfileSearch
from web.cli.progress_bar import progress_bar
from web.cli.red_team_client import describe_red_team, run_red_team
from web.cli.registered_models import (
    activate_model,
    add_registry_actions,
    describe_model,
    describe_models,
    describe_preview,
    preview,
)
from web.cli.server_connection import client
from web.cli.training_export import export_training_data, find_readable_bases, principal_of
from web.management.base import SOME_FAILED, CairnCommand, add_gold_arguments, gold_file, knowledge_bases

_INSTALLABLE: Final = (*NAMES, MULTILINGUAL)
_EMBEDDING_INSTALLED: Final = f"""\
{MULTILINGUAL} is installed. To use it:
1. Set EMBEDDING_MODEL={MULTILINGUAL} and restart Cairn. A new installation needs nothing else.
2. Rebuild an existing index: manage.py reindex --embedding-model {MULTILINGUAL} --swap
Until the new index is ready, the current one answers with its own model."""


class Command(CairnCommand):
    help = "Check the configured models, install another, find its best use, or attack it."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        check = actions.add_parser("check", help="request one token, vector or score from each model")
        check.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

        install = actions.add_parser(
            "install", help="install a language model for all later starts, or an embedding model"
        )
        install.add_argument("name", metavar="NAME", help=", ".join(_INSTALLABLE))
        add_registry_actions(actions)
        self._add_evaluate_arguments(
            actions.add_parser(
                "evaluate",
                help="ask gold questions with several prompts and sizes of evidence, and use what works best",
            )
        )

        export = actions.add_parser(
            "export-training-data", help="write approved answers as training data for an adapter"
        )
        export.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder")
        export.add_argument("--user", required=True, metavar="NAME", help="export what this user may read")
        export.add_argument(
            "--kb", action="append", metavar="SLUG", help="only this knowledge base; can be repeated"
        )
        export.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)
        self._add_comparison_arguments(actions)
        red_team = actions.add_parser(
            "red-team", help="attack a language model, and count what its answers and its own text withstand"
        )
        red_team.add_argument("name", nargs="?", metavar="NAME", help="default: the configured model")
        red_team.add_argument("--sample", type=int, metavar="N", help="only so many, chosen at random")
        red_team.add_argument("--seed", type=int, default=0, metavar="S", help="of the choice (default: 0)")
        red_team.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

    def _add_comparison_arguments(self, actions: "argparse._SubParsersAction[Any]") -> None:
        compare = actions.add_parser(
            "compare", help="ask two language models the same gold questions, and test the difference"
        )
        compare.add_argument("first", metavar="A", help="name of a model, such as the active one")
        compare.add_argument("second", metavar="B", help="name of the other one")
        add_gold_arguments(compare)
        compare.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

    def _add_evaluate_arguments(self, evaluate: CommandParser) -> None:
        add_gold_arguments(evaluate)
        evaluate.add_argument("--dry-run", action="store_true", help="only compare; change nothing")
        evaluate.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

    def handle(self, *_args: Any, **options: Any) -> None:
        actions = {
            "install": self._install,
            "check": self._check,
            "evaluate": self._evaluate,
            "export-training-data": self._export_training_data,
            "red-team": self._attack,
            "list": self._list,
            "activate": self._activate,
            "route": self._route,
            "compare": self._compare,
        }
        actions[options["action"]](options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = describe_models()
        if options["as_json"]:
            self.write_json({"models": rows})
            return
        if not rows:
            self.stdout.write("No models are registered. Admins register them under Administration > Models.")
        for row in rows:
            self.stdout.write(describe_model(row))
        if variable := chat_model_variable():
            self.stdout.write(f"{variable} sets the language model, so active ones aren't used.")

    def _activate(self, options: dict[str, Any]) -> None:
        self.stdout.write(activate_model(options["name"], options["override_reason"]))

    def _route(self, options: dict[str, Any]) -> None:
        found = preview(options["last"], options["location"])
        if options["as_json"]:
            self.write_json({"routes": found.routes, "forbidding": found.forbidding})
            return
        for line in describe_preview(found):
            self.stdout.write(line)

    def _evaluate(self, options: dict[str, Any]) -> None:
        """Compare profiles of the language model, print each as it is measured, and store the best."""
        given = gold_file(options["gold"]) if options["gold"] else None
        with client(self.reporter(options), command="manage.py models evaluate") as connected:
            (base,) = knowledge_bases(connected.api, options["kb"])["knowledge_bases"]
            questions = given or load_gold_set(connected.api, base, options["kb"]).questions
            with progress_bar(sys.stderr, silent=options["as_json"]) as tick:
                search = ProfileSearch(connected.api, base, questions, tick)
                for measured in search.run():
                    if not options["as_json"]:
                        self.stdout.write(_describe_measured(measured, len(questions)))
            if not options["dry_run"]:
                search.store()
        if options["as_json"]:
            rows = [asdict(each) for each in search.measured.values()]
            self.write_json(
                {"questions": len(questions), "best": asdict(search.best.profile), "measured": rows}
            )
            return
        used = "Best" if options["dry_run"] else "Used from now on"
        self.stdout.write(self.style.SUCCESS(f"{used}: {_describe_profile(search.best.profile)}"))

    def _compare(self, options: dict[str, Any]) -> None:
        given = gold_file(options["gold"]) if options["gold"] else None
        with (
            client(self.reporter(options), command="manage.py models compare") as connected,
            progress_bar(sys.stderr, silent=options["as_json"]) as tick,
        ):
            (base,) = knowledge_bases(connected.api, options["kb"])["knowledge_bases"]
            row = compare_models(
                connected.api, options["first"], options["second"], base=base, questions=given, tick=tick
            )
        if options["as_json"]:
            self.write_json(row)
            return
        for line in describe_comparison(row):
            self.stdout.write(line)

    def _attack(self, options: dict[str, Any]) -> None:
        with (
            client(self.reporter(options), command="manage.py models red-team") as connected,
            progress_bar(sys.stderr, silent=options["as_json"]) as tick,
        ):
            run = run_red_team(
                connected.api,
                model=options["name"],
                sample=options["sample"],
                seed=options["seed"],
                tick=tick,
            )
        if options["as_json"]:
            self.write_json(run)
            return
        for line in describe_red_team(run):
            self.stdout.write(line)

    def _install(self, options: dict[str, Any]) -> None:
        name = options["name"]
        if name not in _INSTALLABLE:
            raise InvalidInput(f"There is no model “{name}”. Available: {', '.join(_INSTALLABLE)}")
        if name == MULTILINGUAL:
            install_embedding_model(environment().data_dir, lambda text: self.stderr.write(text))
            self.stdout.write(_EMBEDDING_INSTALLED)
            return
        choose_chat_model(name, environment().data_dir, lambda text: self.stderr.write(text))
        overruled = effective_environment().local_chat_model != name
        self.stdout.write(MODEL_OVERRULED if overruled else f"Cairn uses {name} from its next start on.")

    def _export_training_data(self, options: dict[str, Any]) -> None:
        principal = principal_of(options["user"])
        bases = find_readable_bases(principal, options["kb"])
        export = export_training_data(principal, bases, options["folder"])
        if options["as_json"]:
            self.write_json(asdict(export))
            return
        for name, rows in export.files.items():
            self.stdout.write(f"{rows:>7}  {name}")
        for reason, count in export.excluded.items():
            self.stdout.write(f"{count:>7}  left out: {reason}")

    def _check(self, options: dict[str, Any]) -> None:
        found = []
        for report in reports(effective_environment()):
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


def _describe_measured(measured: Measured, questions: int) -> str:
    refused = "-" if measured.wrongly_refused is None else f"{measured.wrongly_refused:.2f}"
    first = "-" if measured.first_token_ms is None else f"{measured.first_token_ms / 1000:.1f} s"
    return (
        f"{measured.right} of {questions} right, wrongly refused {refused}, first word after {first}: "
        f"{_describe_profile(measured.profile)}"
    )


def _describe_profile(profile: AnswerProfile) -> str:
    if not profile.writes:
        return "passages are quoted"
    size = (
        "as much evidence as fits"
        if profile.evidence_tokens is None
        else f"{profile.evidence_tokens} tokens of evidence"
    )
    judges = ", the model judges the evidence" if profile.judges else ""
    return f"prompt {profile.prompt_version}, {size}{judges}"


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
