"""The gate: a model that a comparison or an A/B test has shown to be worse isn't activated by accident."""

from collections.abc import Sequence
from typing import Final

from cairn.errors import Conflict
from cairn.inference.model_identity import ModelPlace
from cairn.messages import CodedMessage, join
from retrieval.conversations.ab_tests.verdicts import (
    ABTestVerdict,
    ab_test_verdicts_against,
    ab_tested_places,
)
from retrieval.evaluation.candidates import find_name
from retrieval.evaluation.model_comparisons.verdicts import (
    SignificantResult,
    compared_places,
    results_against,
)

WORSE_CODE: Final = "model_worse"
_Result = SignificantResult | ABTestVerdict


def require_not_worse(candidate: ModelPlace, active: ModelPlace, override_reason: str) -> None:
    """Raise Conflict if the candidate is significantly worse than the active model and no reason is given to
    activate it nevertheless."""
    if override_reason.strip() or candidate == active:
        return
    if found := [result for result in _results_against(active) if result.worse == candidate]:
        raise Conflict(_describe("model_worse", active, found), code=WORSE_CODE)


def require_ab_testable(candidate: ModelPlace, active: ModelPlace) -> None:
    """Raise Conflict if a comparison shows the candidate of a new A/B test to be significantly worse. An
    earlier A/B test doesn't prevent another one, which then counts instead."""
    if found := [result for result in results_against(active) if result.worse == candidate]:
        raise Conflict(_describe("model_worse", active, found), code=WORSE_CODE)


def require_may_retire(active: ModelPlace, override_reason: str) -> None:
    """Raise Conflict if a comparison shows another model to be significantly worse than the active one, which
    would be free to follow it, and no reason is given."""
    if override_reason.strip():
        return
    if results := _results_against(active):
        found = [result for result in results if result.worse == results[0].worse]
        raise Conflict(_describe("model_retire_worse", active, found), code=WORSE_CODE)


def is_uncompared(candidate: ModelPlace, active: ModelPlace) -> bool:
    """Return whether the gate knows nothing about the candidate, although models have been compared here."""
    compared = compared_places() | ab_tested_places()
    return candidate != active and bool(compared) and frozenset((candidate, active)) not in compared


def describe_override(override_reason: str) -> dict[str, str]:
    """Return the reason as the audit log stores it."""
    return {"override_reason": override_reason.strip()} if override_reason.strip() else {}


def _results_against(active: ModelPlace) -> list[_Result]:
    return [*results_against(active), *ab_test_verdicts_against(active)]


def _describe(code: str, active: ModelPlace, found: Sequence[_Result]) -> CodedMessage:
    """Return the message, with the comparisons that show it, the latest first."""
    candidate = find_name(found[0].worse)
    comparisons = join("list", *map(_describe_comparison, found))
    return CodedMessage(code, candidate=candidate, active=find_name(active), comparisons=comparisons)


def _describe_comparison(result: _Result) -> CodedMessage:
    if isinstance(result, ABTestVerdict):
        return CodedMessage("ab_test_of", day=f"{result.ended_at:%Y-%m-%d}")
    day = f"{result.compared_at:%Y-%m-%d}"
    if not result.knowledge_base:
        return CodedMessage("comparison_of_deleted", day=day)
    return CodedMessage("comparison_of", day=day, knowledge_base=result.knowledge_base)
