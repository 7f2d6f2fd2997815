"""Formatting of evaluation metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from django.utils.translation import gettext, gettext_noop

from retrieval.evaluation.run_comparison import MeasureChange
from web.i18n.localize import number

T = TypeVar("T")
NOTHING: Final = "–"
NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "ndcg@10": ("nDCG@10", gettext_noop("How high relevant documents rank in the top 10")),
    "recall@5": ("Recall@5", gettext_noop("Share of relevant documents in the top 5")),
    "recall@20": ("Recall@20", gettext_noop("Share of relevant documents in the top 20")),
    "mrr": ("MRR", gettext_noop("1 divided by the rank of the first relevant document")),
    "citation_precision": (
        gettext_noop("Citation precision"),
        gettext_noop("Share of citations that point to relevant documents"),
    ),
    "citation_recall": (
        gettext_noop("Citation recall"),
        gettext_noop("Share of relevant documents that are cited"),
    ),
    "quote_recall": (
        gettext_noop("Quote recall"),
        gettext_noop("Share of answering quotes that are cited"),
    ),
    "refusal_precision": (
        gettext_noop("Refusal precision"),
        gettext_noop("Share of refusals that were correct"),
    ),
    "refusal_recall": (
        gettext_noop("Refusal recall"),
        gettext_noop("Share of unanswerable questions that were refused"),
    ),
    "refusal_f1": (
        gettext_noop("Refusal F1"),
        gettext_noop("Precision and recall of refusals combined"),
    ),
    "wrongly_refused": (
        gettext_noop("Wrongly refused"),
        gettext_noop("Share of answerable questions that were refused"),
    ),
    "must_contain": (
        gettext_noop("Contains required text"),
        gettext_noop("Share of answers containing the required text"),
    ),
    "faithfulness": (
        gettext_noop("Faithfulness"),
        gettext_noop("Share of answers supported by their passages, according to the judge"),
    ),
    "relevancy": (
        gettext_noop("Relevancy"),
        gettext_noop("Share of answers that address the question, according to the judge"),
    ),
    "search_p50_ms": (gettext_noop("Search, median"), gettext_noop("Search time")),
    "search_p95_ms": (
        gettext_noop("Search, 95th percentile"),
        gettext_noop("95 percent of searches are faster"),
    ),
    "first_token_p50_ms": (gettext_noop("First word, median"), gettext_noop("Time to first word")),
    "first_token_p95_ms": (
        gettext_noop("First word, 95th percentile"),
        gettext_noop("95 percent of answers start sooner"),
    ),
    "answer_p50_ms": (gettext_noop("Answer, median"), gettext_noop("Time to full answer")),
    "answer_p95_ms": (
        gettext_noop("Answer, 95th percentile"),
        gettext_noop("95 percent of answers are faster"),
    ),
}
OF_A_LIST: Final = ("ndcg@10", "citation_precision", "refusal_f1", "wrongly_refused")
OF_A_KIND: Final = ("ndcg@10", "citation_precision", "wrongly_refused", "refusal_recall", "must_contain")
RANKINGS: Final = {
    "hybrid": gettext_noop("Hybrid (embeddings and keywords)"),
    "dense": gettext_noop("Embeddings only"),
    "bm25": gettext_noop("Keywords only (BM25)"),
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


def sort_keys(found: Mapping[str, T], order: Iterable[str]) -> dict[str, T]:
    """Sort by `order`; other names come last. Databases do not preserve the order of keys."""
    known = [name for name in order if name in found]
    return {name: found[name] for name in (*known, *sorted(found.keys() - set(known)))}


def measure_views(found: Mapping[str, float | None]) -> list[MeasureView]:
    return [measure_view(name, value) for name, value in sort_keys(found, NAMES).items()]


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
