"""Metrics of search results and answers. Retrieval counts documents, as the gold set names them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import ir_measures
import numpy as np
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG

from cairn.answers import Verdict
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.quote_match import any_overlaps
from retrieval.search.fusion import Ranking

_RETRIEVAL: Final = {"ndcg@10": nDCG @ 10, "recall@5": R @ 5, "recall@20": R @ 20, "mrr": RR}
_NONE_FOUND: Final = ""
_REFUSED: Final = Verdict.REFUSED
LOWER_IS_BETTER: Final = (
    "wrongly_refused",
    "search_p50_ms",
    "search_p95_ms",
    "first_token_p50_ms",
    "first_token_p95_ms",
    "answer_p50_ms",
    "answer_p95_ms",
)

Measures = dict[str, float | None]
"""Measures by name; None without a question that counts for them."""


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """`ranking`: documents by their best passage, best first; `others`: the same of other ways to rank.
    `cited`, `documents`, `quotes`: `source_uri`, id and words of each citation. `passages`: the texts
    that are cited. `faithfulness`, `relevancy`: a judge's, if one was asked. `first_token_ms`: None if
    none came. `signals`: what the answer was judged possible by."""

    question: GoldQuestion
    standalone: str
    ranking: tuple[str, ...]
    answer: str
    verdict: str
    cited: tuple[str, ...]
    search_ms: float
    answer_ms: float
    documents: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    faithfulness: float | None = None
    relevancy: float | None = None
    first_token_ms: float | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[Ranking, tuple[str, ...]] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return self.verdict == _REFUSED

    @property
    def quoted(self) -> float | None:
        """The share of the gold quotes that citations overlap; None without any."""
        return _mean(any_overlaps(self.quotes, gold) for gold in self.question.quotes)

    @property
    def contains_all(self) -> bool:
        text = self.answer.casefold()
        return all(words.casefold() in text for words in self.question.must_contain)

    @property
    def right(self) -> bool:
        """Refused where no document answers; else answered, with what a right answer has."""
        return self.contains_all and not self.refused if self.question.answerable else self.refused


def measures(outcomes: Sequence[QuestionOutcome]) -> Measures:
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    answered = [outcome for outcome in answerable if not outcome.refused]
    latencies = list(_drop_missing(outcome.first_token_ms for outcome in outcomes))
    return {
        **_retrieval([(outcome.question, outcome.ranking) for outcome in answerable]),
        **_citations(answered),
        **_refusal(outcomes),
        "wrongly_refused": _mean(outcome.refused for outcome in answerable),
        "must_contain": _mean(
            outcome.contains_all for outcome in answerable if outcome.question.must_contain
        ),
        "faithfulness": _mean_known(outcome.faithfulness for outcome in outcomes),
        "relevancy": _mean_known(outcome.relevancy for outcome in outcomes),
        **_times("search", [outcome.search_ms for outcome in outcomes]),
        **_times("first_token", latencies),
        **_times("answer", [outcome.answer_ms for outcome in outcomes]),
    }


def _retrieval(ranked: Iterable[tuple[GoldQuestion, Sequence[str]]]) -> Measures:
    qrels, run = list[Qrel](), list[ScoredDoc]()
    for question, ranking in ranked:
        qrels += [Qrel(question.id, document, 1) for document in question.relevant]
        places = enumerate(ranking or (_NONE_FOUND,))
        run += [ScoredDoc(question.id, document, -float(place)) for place, document in places]
    if not qrels:
        return dict.fromkeys(_RETRIEVAL)
    found = ir_measures.calc_aggregate(list(_RETRIEVAL.values()), qrels, run)
    return {name: float(found[measure]) for name, measure in _RETRIEVAL.items()}


def _citations(answered: Iterable[QuestionOutcome]) -> Measures:
    """Compare cited with relevant documents, over questions that documents answer and that were answered."""
    known = list(answered)
    pairs = [(set(outcome.cited), set(outcome.question.relevant), outcome.cited) for outcome in known]
    citations = [document in relevant for _, relevant, cited in pairs for document in cited]
    return {
        "citation_precision": _mean(citations),
        "citation_recall": _mean(len(cited & relevant) / len(relevant) for cited, relevant, _ in pairs),
        "quote_recall": _mean_known(outcome.quoted for outcome in known),
    }


def _refusal(outcomes: Iterable[QuestionOutcome]) -> Measures:
    """Return precision and recall of refusals."""
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
    known = list(values)
    return float(np.mean(known)) if known else None


def _mean_known(values: Iterable[float | None]) -> float | None:
    return _mean(_drop_missing(values))


def _drop_missing(values: Iterable[float | None]) -> Iterable[float]:
    return (value for value in values if value is not None)


def by_kind(outcomes: Sequence[QuestionOutcome]) -> dict[str, Measures]:
    kinds = {outcome.question.kind for outcome in outcomes}
    return {
        kind.value: measures([outcome for outcome in outcomes if outcome.question.kind == kind])
        for kind in sorted(kinds)
    }


def by_ranking(outcomes: Sequence[QuestionOutcome]) -> dict[str, Measures]:
    """Measure each ranking that every outcome has, the default first."""
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    others = [way for way in Ranking if all(way in outcome.others for outcome in answerable)]
    return {
        Ranking.HYBRID.value: _retrieval([(each.question, each.ranking) for each in answerable]),
        **{
            way.value: _retrieval([(each.question, each.others[way]) for each in answerable])
            for way in others
        },
    }


def failing_measures(found: Measures, required: Mapping[str, float]) -> list[str]:
    """Return the measures that are worse than required, or unknown."""
    return [name for name, value in required.items() if not _reaches(name, found[name], value)]


def _reaches(name: str, value: float | None, required: float) -> bool:
    if value is None:
        return False
    return value <= required if name in LOWER_IS_BETTER else value >= required
