"""Measures over what was found and answered. Retrieval counts documents, as the gold set names them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import ir_measures
import numpy as np
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG

from retrieval.evaluation.gold import GoldQuestion

_RETRIEVAL: Final = {"ndcg@10": nDCG @ 10, "recall@5": R @ 5, "recall@20": R @ 20, "mrr": RR}
_NONE_FOUND: Final = ""
LOWER_IS_BETTER: Final = (
    "wrongly_refused",
    "search_p50_ms",
    "search_p95_ms",
    "answer_p50_ms",
    "answer_p95_ms",
)

Measures = dict[str, float | None]
"""By name; None where no question tells."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ranking`: documents by their best passage, best first; `cited`: the document of each citation."""

    question: GoldQuestion
    standalone: str
    ranking: tuple[str, ...]
    answer: str
    refused: bool
    cited: tuple[str, ...]
    search_ms: float
    answer_ms: float

    @property
    def contains_all(self) -> bool:
        said = self.answer.casefold()
        return all(words.casefold() in said for words in self.question.must_contain)

    @property
    def right(self) -> bool:
        """Refused where no document answers; else answered, with what a right answer has."""
        return self.contains_all and not self.refused if self.question.answerable else self.refused


def measures(outcomes: Sequence[Outcome]) -> Measures:
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    answered = [outcome for outcome in answerable if not outcome.refused]
    return {
        **_retrieval(answerable),
        **_citations(answered),
        **_refusal(outcomes),
        "wrongly_refused": _mean(outcome.refused for outcome in answerable),
        "must_contain": _mean(
            outcome.contains_all for outcome in answerable if outcome.question.must_contain
        ),
        **_times("search", [outcome.search_ms for outcome in outcomes]),
        **_times("answer", [outcome.answer_ms for outcome in outcomes]),
    }


def _retrieval(answerable: Iterable[Outcome]) -> Measures:
    qrels, run = list[Qrel](), list[ScoredDoc]()
    for outcome in answerable:
        identity = outcome.question.id
        qrels += [Qrel(identity, document, 1) for document in outcome.question.relevant]
        places = enumerate(outcome.ranking or (_NONE_FOUND,))
        run += [ScoredDoc(identity, document, -float(place)) for place, document in places]
    if not qrels:
        return dict.fromkeys(_RETRIEVAL)
    found = ir_measures.calc_aggregate(list(_RETRIEVAL.values()), qrels, run)
    return {name: float(found[measure]) for name, measure in _RETRIEVAL.items()}


def _citations(answered: Iterable[Outcome]) -> Measures:
    """Over questions that documents answer and that were answered: what is cited, against what answers."""
    pairs = [(set(outcome.cited), set(outcome.question.relevant), outcome.cited) for outcome in answered]
    citations = [document in relevant for _, relevant, cited in pairs for document in cited]
    return {
        "citation_precision": _mean(citations),
        "citation_recall": _mean(len(cited & relevant) / len(relevant) for cited, relevant, _ in pairs),
    }


def _refusal(outcomes: Iterable[Outcome]) -> Measures:
    """Of the refusals, how many were right; of the questions to refuse, how many were refused."""
    pairs = [(outcome.refused, not outcome.question.answerable) for outcome in outcomes]
    precision = _mean(should for refused, should in pairs if refused)
    recall = _mean(refused for refused, should in pairs if should)
    if precision is None or recall is None:
        f1 = None if recall is None else 0.0
    else:
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"refusal_precision": precision, "refusal_recall": recall, "refusal_f1": f1}


def _times(what: str, times: Collection[float]) -> Measures:
    names = {f"{what}_p50_ms": 50, f"{what}_p95_ms": 95}
    values = list(times)
    return {name: float(np.percentile(values, at)) if values else None for name, at in names.items()}


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return float(np.mean(kept)) if kept else None


def by_kind(outcomes: Sequence[Outcome]) -> dict[str, Measures]:
    kinds = {outcome.question.kind for outcome in outcomes}
    return {
        kind.value: measures([outcome for outcome in outcomes if outcome.question.kind == kind])
        for kind in sorted(kinds)
    }


def fails(found: Measures, wanted: Mapping[str, float]) -> list[str]:
    """Names of measures that are worse than wanted, or that no question tells of."""
    return [name for name, value in wanted.items() if not _reaches(name, found[name], value)]


def _reaches(name: str, value: float | None, wanted: float) -> bool:
    if value is None:
        return False
    return value <= wanted if name in LOWER_IS_BETTER else value >= wanted
