"""Measures as people read them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from retrieval.evaluation.comparing import MeasureChange

T = TypeVar("T")
NOTHING: Final = "–"
NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "ndcg@10": ("nDCG@10", "How far up the relevant documents stand among the first ten"),
    "recall@5": ("Recall@5", "How many relevant documents are among the first five"),
    "recall@20": ("Recall@20", "How many relevant documents are among the first twenty"),
    "mrr": ("MRR", "One divided by the place of the first relevant document"),
    "citation_precision": ("Citation precision", "Of the citations, how many are of relevant documents"),
    "citation_recall": ("Citation recall", "Of the relevant documents, how many are cited"),
    "quote_recall": ("Quote recall", "Of the quotes that answer, how many are cited"),
    "refusal_precision": ("Refusal precision", "Of the refusals, how many were right"),
    "refusal_recall": ("Refusal recall", "Of the questions without an answer, how many were refused"),
    "refusal_f1": ("Refusal F1", "Precision and recall of refusals in one figure"),
    "wrongly_refused": ("Wrongly refused", "Of the questions with an answer, how many were refused"),
    "must_contain": ("Holds what it must", "Of the answers, how many have the words that they must have"),
    "faithfulness": ("Faithfulness", "Of the answers, how many the judge finds in their passages"),
    "relevancy": ("Relevancy", "Of the answers, how many the judge finds to be what was asked"),
    "search_p50_ms": ("Search, median", "Time of a search"),
    "search_p95_ms": ("Search, 95 %", "All but one search in twenty are faster"),
    "first_token_p50_ms": ("First words, median", "Time until an answer begins"),
    "first_token_p95_ms": ("First words, 95 %", "All but one answer in twenty begin earlier"),
    "answer_p50_ms": ("Answer, median", "Time of a whole answer"),
    "answer_p95_ms": ("Answer, 95 %", "All but one answer in twenty are faster"),
}
OF_A_LIST: Final = ("ndcg@10", "citation_precision", "refusal_f1", "wrongly_refused")
OF_A_KIND: Final = ("ndcg@10", "citation_precision", "wrongly_refused", "refusal_recall", "must_contain")
RANKINGS: Final = {
    "hybrid": "Embeddings and words",
    "dense": "Embeddings alone",
    "bm25": "Words alone (BM25)",
    "rrf": "Reciprocal rank fusion",
}


@dataclass(frozen=True, slots=True)
class MeasureView:
    name: str
    label: str
    meaning: str
    value: str


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """Some measures of one part of a run; `values` in the order of the table's columns."""

    label: str
    values: tuple[MeasureView, ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """`tone`: better, worse, or nothing."""

    measure: MeasureView
    before: str
    by: str
    tone: str


def value_text(name: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f} ms" if name.endswith("_ms") else f"{value:.3f}"


def measure_view(name: str, value: float | None) -> MeasureView:
    label, meaning = NAMES.get(name, (name, ""))
    return MeasureView(name, label, meaning, value_text(name, value))


def ordered(found: Mapping[str, T], order: Iterable[str]) -> dict[str, T]:
    """Those without a place in the order come last. Databases do not keep the order of keys."""
    known = [name for name in order if name in found]
    return {name: found[name] for name in (*known, *sorted(found.keys() - set(known)))}


def measure_views(found: Mapping[str, float | None]) -> list[MeasureView]:
    return [measure_view(name, value) for name, value in ordered(found, NAMES).items()]


def measure_row(label: str, names: Iterable[str], found: Mapping[str, float | None]) -> MeasureRow:
    return MeasureRow(label, tuple(measure_view(name, found.get(name)) for name in names))


def change_view(change: MeasureChange) -> ChangeView:
    before, by = value_text(change.name, change.before), _by_text(change)
    tone = "" if change.better is None else ("better" if change.better else "worse")
    return ChangeView(measure_view(change.name, change.now), before, by, tone)


def _by_text(change: MeasureChange) -> str:
    if change.by is None:
        return NOTHING
    sign = "+" if change.by > 0 else "\u2212" if change.by < 0 else "±"
    return sign + value_text(change.name, abs(change.by))
