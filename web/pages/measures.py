"""Formatting of evaluation metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from django.utils.translation import gettext, gettext_noop

from retrieval.evaluation.comparing import MeasureChange
from web.telling import number

T = TypeVar("T")
NOTHING: Final = "–"
NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "ndcg@10": ("nDCG@10", gettext_noop("How far up the relevant documents stand among the first ten")),
    "recall@5": ("Recall@5", gettext_noop("How many relevant documents are among the first five")),
    "recall@20": ("Recall@20", gettext_noop("How many relevant documents are among the first twenty")),
    "mrr": ("MRR", gettext_noop("One divided by the place of the first relevant document")),
    "citation_precision": (
        gettext_noop("Citation precision"),
        gettext_noop("Of the citations, how many are of relevant documents"),
    ),
    "citation_recall": (
        gettext_noop("Citation recall"),
        gettext_noop("Of the relevant documents, how many are cited"),
    ),
    "quote_recall": (
        gettext_noop("Quote recall"),
        gettext_noop("Of the quotes that answer, how many are cited"),
    ),
    "refusal_precision": (
        gettext_noop("Refusal precision"),
        gettext_noop("Of the refusals, how many were right"),
    ),
    "refusal_recall": (
        gettext_noop("Refusal recall"),
        gettext_noop("Of the questions without an answer, how many were refused"),
    ),
    "refusal_f1": (
        gettext_noop("Refusal F1"),
        gettext_noop("Precision and recall of refusals in one figure"),
    ),
    "wrongly_refused": (
        gettext_noop("Wrongly refused"),
        gettext_noop("Of the questions with an answer, how many were refused"),
    ),
    "must_contain": (
        gettext_noop("Holds what it must"),
        gettext_noop("Of the answers, how many have the words that they must have"),
    ),
    "faithfulness": (
        gettext_noop("Faithfulness"),
        gettext_noop("Of the answers, how many the judge finds in their passages"),
    ),
    "relevancy": (
        gettext_noop("Relevancy"),
        gettext_noop("Of the answers, how many the judge finds to be what was asked"),
    ),
    "search_p50_ms": (gettext_noop("Search, median"), gettext_noop("Time of a search")),
    "search_p95_ms": (gettext_noop("Search, 95 %"), gettext_noop("All but one search in twenty are faster")),
    "first_token_p50_ms": (gettext_noop("First words, median"), gettext_noop("Time until an answer begins")),
    "first_token_p95_ms": (
        gettext_noop("First words, 95 %"),
        gettext_noop("All but one answer in twenty begin earlier"),
    ),
    "answer_p50_ms": (gettext_noop("Answer, median"), gettext_noop("Time of a whole answer")),
    "answer_p95_ms": (gettext_noop("Answer, 95 %"), gettext_noop("All but one answer in twenty are faster")),
}
OF_A_LIST: Final = ("ndcg@10", "citation_precision", "refusal_f1", "wrongly_refused")
OF_A_KIND: Final = ("ndcg@10", "citation_precision", "wrongly_refused", "refusal_recall", "must_contain")
RANKINGS: Final = {
    "hybrid": gettext_noop("Embeddings and words"),
    "dense": gettext_noop("Embeddings alone"),
    "bm25": gettext_noop("Words alone (BM25)"),
    "rrf": gettext_noop("Reciprocal rank fusion"),
}


TONES: Final = {"better": gettext_noop("better"), "worse": gettext_noop("worse")}


@dataclass(frozen=True, slots=True)
class MeasureView:
    name: str
    label: str
    meaning: str
    value: str


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """Metrics of one part of a run; `values` in column order."""

    label: str
    values: tuple[MeasureView, ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change. `tone`: better, worse, or empty."""

    measure: MeasureView
    before: str
    by: str
    tone: str

    @property
    def tone_label(self) -> str:
        return gettext(TONES[self.tone]) if self.tone else ""


def value_text(name: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{number(value, 0)} ms" if name.endswith("_ms") else number(value, 3)


def measure_view(name: str, value: float | None) -> MeasureView:
    label, meaning = NAMES.get(name, (name, ""))
    return MeasureView(name, gettext(label), gettext(meaning), value_text(name, value))


def ordered(found: Mapping[str, T], order: Iterable[str]) -> dict[str, T]:
    """Sort by `order`; other names come last. Databases do not preserve the order of keys."""
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
