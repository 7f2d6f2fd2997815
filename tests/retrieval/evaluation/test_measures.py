from math import log2
from typing import Any

import pytest

from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import (
    LOWER_IS_BETTER,
    QuestionOutcome,
    by_kind,
    by_ranking,
    failing_measures,
    measures,
)
from retrieval.search.fusion import Ranking

EMPTY = {
    "standalone": "",
    "ranking": (),
    "answer": "",
    "verdict": "supported",
    "cited": (),
    "search_ms": 1,
    "answer_ms": 2,
}


def outcome(question: GoldQuestion, **fields: Any) -> QuestionOutcome:
    return QuestionOutcome(question=question, **{**EMPTY, **fields})


def question(identity: str, *relevant: str, **fields: Any) -> GoldQuestion:
    return GoldQuestion(id=identity, question="?", relevant=relevant, **fields)


def test_retrieval_is_measured_by_document_rank() -> None:
    found = measures(
        [
            outcome(question("first", "a"), ranking=("a", "b")),
            outcome(question("third", "a"), ranking=("b", "c", "a")),
            outcome(question("nowhere", "a")),
            outcome(question("none to find"), ranking=("a",)),
        ]
    )
    assert found["ndcg@10"] == pytest.approx((1 + 1 / log2(4) + 0) / 3)
    assert found["mrr"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found["recall@5"] == found["recall@20"] == pytest.approx(2 / 3)


def test_citation_measures_ignore_refusals() -> None:
    found = measures(
        [
            outcome(question("both", "a", "b"), cited=("a", "c")),
            outcome(question("one", "a"), cited=("a", "a")),
            outcome(question("refused", "a"), verdict="refused"),
            outcome(question("made up"), cited=("a",)),
        ]
    )
    assert found["citation_precision"] == pytest.approx(3 / 4)
    assert found["citation_recall"] == pytest.approx((1 / 2 + 1) / 2)


def test_quote_recall_ignores_refusals() -> None:
    gold = ("You get 25 days of leave.", "Ask your supervisor first, in writing.")
    found = measures(
        [
            outcome(question("half", "a", quotes=gold), quotes=("Staff: you get 25 days of leave. Enjoy",)),
            outcome(question("none", "a", quotes=gold[:1]), quotes=("Ask your supervisor.",)),
            outcome(question("refused", "a", quotes=gold), verdict="refused"),
            outcome(question("nothing to quote", "a"), quotes=("anything",)),
        ]
    )
    assert found["quote_recall"] == pytest.approx((1 / 2 + 0) / 2)


def test_rankings_are_measured_side_by_side() -> None:
    asked, unanswerable = question("asked", "a"), question("none")
    others = {Ranking.DENSE: ("b", "a"), Ranking.BM25: ()}
    found = by_ranking([outcome(asked, ranking=("a",), others=others), outcome(unanswerable, ranking=("a",))])
    assert {way: measured["mrr"] for way, measured in found.items()} == {"hybrid": 1, "dense": 0.5, "bm25": 0}
    assert list(by_ranking([outcome(asked, others=others), outcome(asked)])) == ["hybrid"]


def test_missing_first_token_is_not_counted_as_a_time() -> None:
    asked = question("a", "a")
    found = measures([outcome(asked, first_token_ms=30.0), outcome(asked, verdict="refused")])
    assert found["first_token_p50_ms"] == found["first_token_p95_ms"] == 30


def test_refusal_is_right_if_no_document_answers() -> None:
    found = measures(
        [
            outcome(question("rightly"), verdict="refused"),
            outcome(question("also"), verdict="refused"),
            outcome(question("not")),
            outcome(question("wrongly", "a"), verdict="refused"),
            outcome(question("answered", "a"), answer="It is 25 DAYS.", cited=("a",)),
        ]
    )
    assert found["refusal_precision"] == pytest.approx(2 / 3)
    assert found["refusal_recall"] == pytest.approx(2 / 3)
    assert found["refusal_f1"] == pytest.approx(2 / 3)
    assert found["wrongly_refused"] == pytest.approx(1 / 2)


def test_required_text_is_matched_regardless_of_case() -> None:
    asked = question("a", "a", must_contain=("25 days", "Form 7"))
    assert outcome(asked, answer="25 Days, by form 7").right
    assert not outcome(asked, answer="25 days").right
    assert not outcome(asked, answer="25 Days, by form 7", verdict="refused").right
    assert measures([outcome(asked, answer="25 days")])["must_contain"] == 0


def test_measures_without_questions_are_none() -> None:
    assert set(measures([]).values()) == {None}


def test_kinds_of_questions_are_measured_separately() -> None:
    found = by_kind(
        [outcome(question("a", kind="near_miss"), verdict="refused"), outcome(question("b", "x"))]
    )
    assert found["near_miss"]["refusal_recall"] == 1
    assert found["paraphrase"]["recall@5"] == 0


def test_higher_value_fails_where_lower_is_better() -> None:
    found = measures([outcome(question("a", "x"), ranking=("x",), search_ms=40)])
    assert failing_measures(found, {"mrr": 1, "search_p50_ms": 40, "wrongly_refused": 0}) == []
    assert failing_measures(found, {"mrr": 1.1, "search_p50_ms": 39}) == ["mrr", "search_p50_ms"]
    assert failing_measures(found, {"refusal_recall": 0}) == ["refusal_recall"]  # no question counts for it
    assert set(LOWER_IS_BETTER) <= set(found)
