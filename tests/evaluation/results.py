"""Results of single questions, and the measures of a set with their confidence intervals."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.metrics import QuestionOutcome
from tests.evaluation.intervals import Estimate, Numbers, bootstrap, estimate_share

NEAR_RANK: Final = 5


class Result(BaseModel):
    """`rank`: place of the best relevant document, from 1. `contains`: whether the answer has the required
    words; None if none are required. `probability`: of an answer in the evidence, by its signals."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind
    answerable: bool
    refused: bool
    rank: int | None
    relevant: tuple[str, ...] = ()
    cited: tuple[str, ...] = ()
    contains: bool | None = None
    verdict: str = ""
    answer: str = ""
    first_word_seconds: float | None = None
    seconds: float | None = None
    signals: Mapping[str, float] = {}
    probability: float | None = None

    @property
    def cites_relevant(self) -> list[bool]:
        return [uri in self.relevant for uri in self.cited]


def result_of(
    outcome: QuestionOutcome, rate: Callable[[Mapping[str, float]], float], *, generated: bool
) -> Result:
    """`rate`: returns the probability of an answer by the signals."""
    question = outcome.question
    ranks = [outcome.ranking.index(uri) + 1 for uri in question.relevant if uri in outcome.ranking]
    return Result(
        id=question.id,
        kind=question.kind,
        answerable=question.answerable,
        refused=outcome.refused,
        rank=min(ranks, default=None),
        relevant=question.relevant,
        cited=outcome.cited,
        contains=outcome.contains_all if question.must_contain and generated else None,
        verdict=outcome.verdict,
        answer=outcome.answer,
        first_word_seconds=None if outcome.first_token_ms is None else outcome.first_token_ms / 1000,
        seconds=outcome.answer_ms / 1000 if generated else None,
        signals=outcome.signals,
        probability=rate(outcome.signals) if outcome.signals else None,
    )


def measure(results: Sequence[Result]) -> dict[str, Estimate | None]:
    answerable = [each for each in results if each.answerable]
    others = [each for each in results if not each.answerable]
    refused = [each for each in results if each.refused]
    cited = [each.cites_relevant for each in answerable if each.cited and not each.refused]
    ranks = np.array([1 / each.rank if each.rank else 0.0 for each in answerable])
    return {
        "hit@1": estimate_share([each.rank == 1 for each in answerable]),
        "hit@5": estimate_share([bool(each.rank) and each.rank <= NEAR_RANK for each in answerable]),
        "MRR": bootstrap(ranks, np.mean),
        "first citation": estimate_share([relevant[0] for relevant in cited]),
        "any citation": estimate_share([any(relevant) for relevant in cited]),
        "fact": estimate_share([each.contains for each in answerable if each.contains is not None]),
        "refusal precision": estimate_share([not each.answerable for each in refused]) if others else None,
        "refusal recall": estimate_share([each.refused for each in others]),
        "refusal F1": _estimate_f1(results) if others else None,
        "wrongly refused": estimate_share([each.refused for each in answerable]),
        "near misses answered": _share_answered(others, Kind.NEAR_MISS),
        "absent answered": _share_answered(others, Kind.UNANSWERABLE),
        "first word s": _estimate_median([each.first_word_seconds for each in results]),
        "whole s": _estimate_median([each.seconds for each in results]),
    }


def _share_answered(results: Sequence[Result], kind: Kind) -> Estimate | None:
    return estimate_share([not each.refused for each in results if each.kind == kind])


def _estimate_f1(results: Sequence[Result]) -> Estimate | None:
    return bootstrap(np.array([[each.refused, not each.answerable] for each in results], float), _refusal_f1)


def _refusal_f1(rows: Numbers) -> float:
    refused, unanswerable = rows.sum(axis=0)
    return float(2 * rows.all(axis=1).sum() / (refused + unanswerable or 1))


def _estimate_median(values: Sequence[float | None]) -> Estimate | None:
    known = np.array([value for value in values if value is not None])
    return bootstrap(known, lambda rows: float(median(rows)))
