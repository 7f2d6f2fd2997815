"""Evaluate search and answers with gold questions."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import CairnError, InvalidInput
from cairn.settings import environment
from retrieval.evaluation.gold_file import GoldSet
from retrieval.evaluation.metrics import QuestionOutcome, failing_measures, measures
from retrieval.evaluation.significance import CONFIDENCE
from retrieval.search.fusion import Ranking
from web.cli.api_client import Api, Json
from web.cli.evaluation_baselines import LATEST, baseline
from web.cli.evaluation_client import changes, load_gold_set, outcomes_of, report, store
from web.cli.folder_upload import Tick
from web.cli.progress_bar import progress_bar
from web.cli.server_connection import client
from web.management.base import SOME_FAILED, CairnCommand, add_gold_arguments, gold_file, knowledge_bases

_FITTING = "web.cli.evaluation_calibration"  # by name: it takes seconds to import
LONGEST_NAME = 120
_NAMES = tuple(measures([]))
_OTHERS = tuple(ranking for ranking in Ranking if ranking is not Ranking.HYBRID)


def _name(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"a run's name has 1 to {LONGEST_NAME} characters")
    return text


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or name not in _NAMES:
        raise argparse.ArgumentTypeError(f"write it as METRIC=VALUE; metrics are {', '.join(_NAMES)}")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{value}” is no number") from None


class Command(CairnCommand):
    help = "Ask questions with known answers and measure search, citations, refusals and response times."

    def add_arguments(self, parser: CommandParser) -> None:
        add_gold_arguments(parser)
        parser.add_argument("--name", type=_name, help="name of the run (default: the file name)")
        parser.add_argument(
            "--baseline",
            metavar="RUN",
            help=f"compare with a stored run (name, id or “{LATEST}”) or with the output of --json",
        )
        parser.add_argument(
            "--fail-if-worse",
            action="store_true",
            help=f"exit code {SOME_FAILED} if the run is significantly worse than the baseline",
        )
        parser.add_argument(
            "--rankings",
            action="store_true",
            help="also search with embeddings only, BM25 only and reciprocal rank fusion",
        )
        parser.add_argument(
            "--calibrate",
            action="store_true",
            help="fit the refusal threshold to these questions (administrators only)",
        )
        parser.add_argument(
            "--fail-under",
            type=_limit,
            action="append",
            default=[],
            metavar="METRIC=VALUE",
            help=f"exit code {SOME_FAILED} if the metric is worse; can be repeated",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["fail_if_worse"] and not options["baseline"]:
            raise InvalidInput("--fail-if-worse needs --baseline.")
        given = _gold(options["gold"]) if options["gold"] else None
        with client(self.reporter(options), command="manage.py evaluate") as connected:
            run = self._run(connected.api, given, options)
        self._print(run, as_json=options["as_json"])
        below = failing_measures(run["measures"], dict(options["fail_under"]))
        if below:
            self.fail(f"Worse than wanted: {', '.join(below)}", code=SOME_FAILED)
        test = run.get("baseline", {}).get("paired_test")
        if options["fail_if_worse"] and test and test["is_worse"]:
            self.fail("Significantly worse than the baseline", code=SOME_FAILED)

    def _run(self, api: Api, given: GoldSet | None, options: dict[str, Any]) -> Json:
        (base,) = knowledge_bases(api, options["kb"])["knowledge_bases"]
        gold = given or load_gold_set(api, base, options["kb"])
        before = baseline(api, base, options["baseline"]) if options["baseline"] else None
        others = _OTHERS if options["rankings"] else ()
        with progress_bar(sys.stderr, silent=options["as_json"]) as tick:
            asked = list(outcomes_of(api, base, gold.questions, tick, rankings=others))
            run = report(self._judge_answers(asked, base, tick))
        if options["calibrate"]:
            run["calibration"] = import_module(_FITTING).calibrate(api, asked)
        if before is not None:
            run["baseline"] = {"measures": before["measures"], **changes(run, before)}
        return {**self._store_run(api, base, options["name"] or gold.name, gold, run), **run}

    def _judge_answers(self, asked: list[QuestionOutcome], base: str, tick: Tick) -> list[QuestionOutcome]:
        """Judge the answers. If the judge is unavailable, other metrics are still reported."""
        if not (environment().judge_base_url or environment().judge_model):
            return asked
        try:
            judged: list[QuestionOutcome] = import_module(_FITTING).judge_outcomes(asked, base, tick)
            return judged
        except CairnError as error:
            self.stderr.write(f"The answers weren't judged: {error.message}")
            return asked

    def _store_run(self, api: Api, base: str, name: str, gold: GoldSet, run: Json) -> Json:
        """Store the run. If that fails, metrics are still reported."""
        try:
            stored = store(api, base, name, gold, run)
        except CairnError as error:
            self.stderr.write(f"The run couldn't be stored: {error.message}")
            return {}
        return {part: stored[part] for part in ("id", "name", "settings")}

    def _print(self, run: Json, *, as_json: bool) -> None:
        if as_json:
            self.write_json(run)
            return
        compared: Json = run.get("baseline") or {}
        for name, value in run["measures"].items():
            was = f"   before {_number(compared['measures'].get(name))}" if compared else ""
            self.stdout.write(f"{name:20} {_number(value):>10}{was}")
        self._print_rankings(run["rankings"])
        wrong = [outcome for outcome in run["outcomes"] if not outcome["right"]]
        self.stdout.write(f"\n{run['questions']} questions, {len(wrong)} incorrect:")
        for outcome in wrong:
            self.stdout.write(f"  {outcome['id']}: {_what(outcome)}")
        if "id" in run:
            self.stdout.write(f"stored as “{run['name']}” ({run['id']})")
        if fit := run.get("calibration"):
            self.stdout.write(
                f"calibrated: on questions like these that were not fitted on, refusal_f1 is "
                f"{_number(fit['refusal_f1'])} and wrongly_refused {_number(fit['wrongly_refused'])}"
            )
        for word in ("better", "worse") if compared else ():
            self.stdout.write(f"{word} than before: {', '.join(compared[word]) or 'none'}")
        if test := compared.get("paired_test"):
            self.stdout.write(_describe_test(test))

    def _print_rankings(self, rankings: Json) -> None:
        if len(rankings) == 1:
            return
        names = list(rankings[Ranking.HYBRID])
        self.stdout.write("\n" + " ".join([f"{'ranked by':12}", *(f"{name:>10}" for name in names)]))
        for ranking, found in rankings.items():
            values = (f"{_number(found[name]):>10}" for name in names)
            self.stdout.write(" ".join([f"{ranking:12}", *values]))


def _describe_test(test: Json) -> str:
    meaning = "it may be chance" if test["p_value"] >= 1 - CONFIDENCE else "it is hardly chance"
    return (
        f"right answers: {100 * test['difference']:+.1f} percentage points on {test['questions']} questions, "
        f"95 % interval {100 * test['low']:+.1f} to {100 * test['high']:+.1f} (p = {test['p_value']:.2g}): "
        f"{meaning}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _what(outcome: Json) -> str:
    if not outcome["relevant"]:
        return "answered, though no document tells"
    if outcome["refused"]:
        return f"refused; its document is at place {outcome['rank'] or 'none'}"
    return f"the answer lacks what it must have; its document is at place {outcome['rank'] or 'none'}"


def _gold(path: Path) -> GoldSet:
    return GoldSet(_clean_run_name(path.stem), gold_file(path))


def _clean_run_name(stem: str) -> str:
    """Replace invalid bytes, which file names may contain."""
    return stem.encode("utf-8", "replace").decode()[:LONGEST_NAME]
