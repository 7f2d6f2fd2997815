"""Results as a table: a row for each set, and one for all sets that results are reported for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Column, Table

from tests.evaluation.intervals import Estimate
from tests.evaluation.results import Result, measure
from tests.evaluation.sets import REPORTED

TOTAL = "all reported"


def group_results(results: Mapping[str, Sequence[Result]]) -> dict[str, list[Result]]:
    """Return the results of each set, and of all reported ones together if there are several."""
    reported = [each for name, found in results.items() if name in REPORTED for each in found]
    several = sum(name in REPORTED for name in results) > 1
    return {name: list(found) for name, found in results.items()} | ({TOTAL: reported} if several else {})


def build_table(results: Mapping[str, Sequence[Result]]) -> Table:
    table = Table(Column("set", no_wrap=True), "questions", *measure([]), show_lines=True)
    for name, found in group_results(results).items():
        table.add_row(name, _counts(found), *map(_format_estimate, measure(found).values()))
    return table


def build_report(results: Mapping[str, Sequence[Result]]) -> dict[str, Any]:
    measured = {
        name: {key: asdict(value) if value else None for key, value in measure(found).items()}
        for name, found in group_results(results).items()
    }
    stored = {name: [each.model_dump(mode="json") for each in found] for name, found in results.items()}
    return {"measures": measured, "results": stored}


def read_report(report: Mapping[str, Any]) -> dict[str, list[Result]]:
    return {
        name: [Result.model_validate(each) for each in found] for name, found in report["results"].items()
    }


def _counts(results: Sequence[Result]) -> str:
    answerable = sum(each.answerable for each in results)
    return f"{len(results)}\n{answerable}/{len(results) - answerable}"


def _format_estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.2f}\n{estimate.low:.2f}–{estimate.high:.2f}"
