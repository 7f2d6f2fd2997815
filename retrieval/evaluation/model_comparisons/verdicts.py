"""Comparisons that count, and the verdicts that remain when their knowledge base is deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from cairn.inference.model_identity import ModelPlace
from retrieval.evaluation.model_comparisons.answers import summarize
from retrieval.evaluation.models import ModelComparison, ModelVerdict, TrialState

ENOUGH: Final = 0.8
"""Share of the questions of a comparison that a later one has to ask again to replace it: gold questions go
with their documents."""


@dataclass(frozen=True, slots=True)
class SignificantResult:
    """A current comparison that shows one model to be significantly worse than another. `knowledge_base`: its
    name, empty if it was deleted. `only_better`: questions that only the better model answered rightly."""

    better: ModelPlace
    worse: ModelPlace
    compared_at: datetime
    knowledge_base: str
    questions: int
    only_better: int
    only_worse: int


def results_against(better: ModelPlace) -> list[SignificantResult]:
    """Return the current results by which other models are significantly worse than this one, the latest
    first."""
    rows = [row for row in _list_done() if better in _places(row)]
    found = [*_significant(current_comparisons(rows)), *map(_read_verdict, ModelVerdict.objects.all())]
    against = [result for result in found if result.better == better]
    return sorted(against, key=lambda result: result.compared_at, reverse=True)


def compared_places() -> set[frozenset[ModelPlace]]:
    """Return each pair of models of which a comparison or its verdict is stored."""
    pairs = {frozenset(_places(row)) for row in _list_done().defer("results", "gold")}
    verdicts = map(_read_verdict, ModelVerdict.objects.all())
    return pairs | {frozenset((verdict.better, verdict.worse)) for verdict in verdicts}


def current_comparisons(rows: Iterable[ModelComparison]) -> list[ModelComparison]:
    """Return the comparisons that no later one replaces. `rows`: completed ones, the latest first."""
    found, later = list[ModelComparison](), dict[object, list[frozenset[tuple[str, str]]]]()
    for row in rows:
        asked = frozenset((each["id"], each["question"]) for each in row.results)
        same = later.setdefault((row.knowledge_base_id, frozenset(_places(row))), [])
        if not any(len(asked & other) >= ENOUGH * len(asked) for other in same):
            found.append(row)
        same.append(asked)
    return found


def comparisons_forget(*, knowledge_base: UUID) -> None:
    """Store what the comparisons of a knowledge base that is being deleted have shown: in numbers only, since
    their questions are deleted with it. Otherwise deleting it would let a worse model be activated."""
    rows = _list_done().filter(knowledge_base=knowledge_base)
    ModelVerdict.objects.bulk_create(
        ModelVerdict(
            better_server=result.better.server,
            better_model=result.better.name,
            worse_server=result.worse.server,
            worse_model=result.worse.name,
            compared_at=result.compared_at,
            questions=result.questions,
            only_better=result.only_better,
            only_worse=result.only_worse,
        )
        for result in _significant(current_comparisons(rows))
    )


def list_needed() -> set[UUID]:
    """Return the comparisons without which a worse model could be activated."""
    return {row.pk for row in current_comparisons(_list_done()) if _result_of(row) is not None}


def _list_done() -> "QuerySet[ModelComparison]":
    return ModelComparison.objects.filter(state=TrialState.DONE).select_related("knowledge_base")


def _places(row: ModelComparison) -> tuple[ModelPlace, ModelPlace]:
    return ModelPlace(row.first_server, row.first_model), ModelPlace(row.second_server, row.second_model)


def _significant(rows: Sequence[ModelComparison]) -> list[SignificantResult]:
    return [result for row in rows if (result := _result_of(row)) is not None]


def _result_of(row: ModelComparison) -> SignificantResult | None:
    """Return the result of a comparison; None if chance may have decided."""
    test = summarize(row.results).test
    if test is None or not test.is_significant:
        return None
    first, second = _places(row)
    base = row.knowledge_base
    return SignificantResult(
        better=first if test.is_worse else second,
        worse=second if test.is_worse else first,
        compared_at=row.created_at,
        knowledge_base="" if base.deleted_at else base.name,
        questions=test.questions,
        only_better=max(test.better, test.worse),
        only_worse=min(test.better, test.worse),
    )


def _read_verdict(row: ModelVerdict) -> SignificantResult:
    return SignificantResult(
        better=ModelPlace(row.better_server, row.better_model),
        worse=ModelPlace(row.worse_server, row.worse_model),
        compared_at=row.compared_at,
        knowledge_base="",
        questions=row.questions,
        only_better=row.only_better,
        only_worse=row.only_worse,
    )
