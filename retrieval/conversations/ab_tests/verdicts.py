"""Results of A/B tests that count when a model is to be activated or retired."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cairn.inference.model_identity import ModelPlace
from retrieval.models import ABTest, ABTestState

_WITH_RESULT: Final = (ABTestState.BETTER, ABTestState.WORSE, ABTestState.NO_DIFFERENCE)


@dataclass(frozen=True, slots=True)
class ABTestVerdict:
    """The last A/B test of two models with a result, which shows one to be significantly worse."""

    better: ModelPlace
    worse: ModelPlace
    ended_at: datetime


def ab_test_verdicts_against(better: ModelPlace) -> list[ABTestVerdict]:
    """Return the results by which other models are significantly worse than this one, the latest first."""
    return [verdict for test in _list_last() if (verdict := _verdict_of(test)) and verdict.better == better]


def ab_tested_places() -> set[frozenset[ModelPlace]]:
    """Return each pair of models whose A/B test has a result."""
    return {frozenset(_places(test)) for test in _list_last()}


def _list_last() -> list[ABTest]:
    """Return the last test of each pair that has ended with a result."""
    last = dict[frozenset[ModelPlace], ABTest]()
    for test in ABTest.objects.filter(state__in=_WITH_RESULT, ended_at__isnull=False).order_by("-ended_at"):
        last.setdefault(frozenset(_places(test)), test)
    return list(last.values())


def _verdict_of(test: ABTest) -> ABTestVerdict | None:
    candidate, active = _places(test)
    assert test.ended_at is not None  # as all that are listed
    match test.state:
        case ABTestState.WORSE:
            return ABTestVerdict(active, candidate, test.ended_at)
        case ABTestState.BETTER:
            return ABTestVerdict(candidate, active, test.ended_at)
    return None


def _places(test: ABTest) -> tuple[ModelPlace, ModelPlace]:
    return (
        ModelPlace(test.candidate_server, test.candidate_model),
        ModelPlace(test.active_server, test.active_model),
    )
