"""Comparisons of two models over REST, for the command line."""

import time
from collections.abc import Sequence
from typing import Final

from cairn.errors import CairnError, Unavailable
from retrieval.evaluation.gold_file import GoldQuestion
from web.cli.api_client import Api, Json
from web.cli.folder_upload import Tick

COMPARISONS: Final = "/api/v1/model-comparisons"
LOOK_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 15 * 60.0
"""How long to wait for progress: longer than one question takes a slow model."""
_SENT: Final = {"id", "question", "kind", "history", "relevant", "must_contain"}


def compare_models(
    api: Api,
    first: str,
    second: str,
    *,
    base: str,
    questions: Sequence[GoldQuestion] | None,
    tick: Tick,
) -> Json:
    """Start a comparison and return it when it has ended. Raises CairnError if it fails or stands still."""
    body: Json = {"first": first, "second": second, "knowledge_base": base}
    if questions is not None:
        body["questions"] = [each.model_dump(mode="json", include=_SENT) for each in questions]
    row = api.post(COMPARISONS, body)
    done, give_up = 0, time.monotonic() + PATIENCE_SECONDS
    while row["state"] == "running":
        if time.monotonic() > give_up:
            raise Unavailable("No worker has picked up the comparison, or a question is taking too long.")
        time.sleep(LOOK_SECONDS)
        row = api.get(f"{COMPARISONS}/{row['id']}")
        if row["asked"] != done:
            done, give_up = row["asked"], time.monotonic() + PATIENCE_SECONDS
        tick("Asking", done, row["total"])
    if row["state"] != "done":
        raise CairnError(row["error"] or "The comparison was cancelled.")
    return row


def describe_comparison(row: Json) -> list[str]:
    """Return the result as lines."""
    lines = [f"{row['asked']} questions, shares with 95 % intervals"]
    for name in ("first", "second"):
        model = row[name]
        lines.append(f"{model['name']}, median {(model['answer_ms'] or 0) / 1000:.1f} s")
        for result, count in model["results"].items():
            share = f"{count['share']:.0%} ({count['low']:.0%} to {count['high']:.0%})"
            lines.append(f"  {result:<11} {count['questions']:>4}  {share}")
    return [*lines, _describe_test(row)]


def _describe_test(row: Json) -> str:
    test = row["test"]
    if test is None:
        return "No question was asked."
    second, first = row["second"]["name"], row["first"]["name"]
    verdict = "no significant difference"
    if test["is_significant"]:
        verdict = f"{second} is significantly {'worse' if test['is_worse'] else 'better'} than {first}"
    return (
        f"Only {first} right: {test['worse']}, only {second} right: {test['better']}, "
        f"p = {test['p_value']:.3f}: {verdict}"
    )
