"""What came out of an A/B test so far, or at its end."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any
from uuid import UUID

from retrieval.conversations.ab_tests.sequential_test import DifferenceTest, PersonCounts, compare_people
from retrieval.models import ABTest, ABTestAnswer, ABTestOutcome


@dataclass(frozen=True, slots=True)
class ArmResults:
    """Answers of one of the models. `good`: supported, and not rated as unhelpful. `answer_ms`: their median
    time; None without answers."""

    people: int = 0
    answers: int = 0
    good: int = 0
    supported: int = 0
    partial: int = 0
    refused: int = 0
    failed: int = 0
    helpful: int = 0
    unhelpful: int = 0
    answer_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ABTestResults:
    """`p_value`: see `DifferenceTest`; None unless it has ended the test. While the test runs, only its looks
    examine the difference."""

    active: ArmResults
    candidate: ArmResults
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class _CountedAnswer:
    user: UUID
    is_candidate: bool
    outcome: str
    rating: str
    milliseconds: int

    @property
    def is_good(self) -> bool:
        return self.outcome == ABTestOutcome.SUPPORTED and self.rating != "down"


def load_results(test: ABTest) -> ABTestResults:
    """Return the results as they are now, or as they were when the test ended."""
    if test.results:
        return _read(test.results)
    rows = _load_answers(test)
    return ABTestResults(
        _summarize([row for row in rows if not row.is_candidate]),
        _summarize([row for row in rows if row.is_candidate]),
    )


def describe_results(results: ABTestResults) -> dict[str, Any]:
    """Return the results as they are stored."""
    return asdict(results)


def _read(stored: dict[str, Any]) -> ABTestResults:
    arms = {name: ArmResults(**stored[name]) for name in ("active", "candidate")}
    return ABTestResults(**{**stored, **arms})


def compare_answers(test: ABTest) -> DifferenceTest | None:
    """Compare the models by person; None while one of them has answered nobody."""
    counts: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for row in _load_answers(test):
        counts[str(row.user), row.is_candidate].append(row.is_good)
    people = [
        PersonCounts(is_candidate, len(found), sum(found))
        for (_, is_candidate), found in sorted(counts.items())
    ]
    return compare_people(people, seed=test.pk.int)


def _load_answers(test: ABTest) -> list[_CountedAnswer]:
    rows = ABTestAnswer.objects.filter(test=test).values_list(
        "message__conversation__user", "is_candidate", "outcome", "message__rating", "milliseconds"
    )
    return [_CountedAnswer(*row) for row in rows]


def _summarize(rows: Sequence[_CountedAnswer]) -> ArmResults:
    outcomes = Counter(row.outcome for row in rows)
    ratings = Counter(row.rating for row in rows)
    return ArmResults(
        people=len({row.user for row in rows}),
        answers=len(rows),
        good=sum(row.is_good for row in rows),
        supported=outcomes[ABTestOutcome.SUPPORTED],
        partial=outcomes[ABTestOutcome.PARTIAL],
        refused=outcomes[ABTestOutcome.REFUSED],
        failed=outcomes[ABTestOutcome.FAILED],
        helpful=ratings["up"],
        unhelpful=ratings["down"],
        answer_ms=float(median(row.milliseconds for row in rows)) if rows else None,
    )
