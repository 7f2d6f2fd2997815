"""The rules' judgement and the reader's, together."""

import pytest

from cairn.errors import ConfigurationError, Unavailable
from retrieval.answering.answerability.reader import ReaderAnswerability, build_answerability
from retrieval.answering.answerability.rules import RuleAnswerability
from retrieval.answering.protocols import Judgement
from tests.fakes import FakeEmbedder, FakeReader
from tests.retrieval.answering.builders import LEAVE, STRONG, TRAVEL, Says, make_hit

LACKING = Judgement(answerable=False, reason="The passages I found don’t mention this.")
HITS = [make_hit(TRAVEL, title="Travel"), make_hit(LEAVE)]
QUESTION = "May unused holidays be kept?"


def judged(rules: Judgement, sure: dict[str, float], question: str = QUESTION) -> Judgement:
    return ReaderAnswerability(Says(rules), FakeReader(sure)).judge(question, HITS)


def test_confident_reader_overrules_missing_evidence() -> None:
    assert judged(LACKING, {"carried over": 0.9}) == Judgement(answerable=True, strong=True)
    assert judged(LACKING, {"carried over": 0.79}) == LACKING


@pytest.mark.parametrize(
    "question",
    [
        "May unused holidays be kept in Oslo?",
        "May unused holidays of 2019 be kept?",
        "May Kim Lee keep holidays?",
    ],
)
def test_reader_does_not_overrule_missing_names_and_years(question: str) -> None:
    assert judged(LACKING, {"": 1.0}, question) == LACKING


def test_reader_needs_names_in_the_passage_itself() -> None:
    """The reader is sure of one passage, but the name is in another."""
    assert judged(LACKING, {"Hotel": 1.0}, "What does Dana Whitfield do with unused holidays?") == LACKING
    assert judged(LACKING, {"Whitfield": 1.0}, "What does Dana Whitfield do with unused holidays?").answerable


def test_reader_without_any_answer_refuses_with_a_reason() -> None:
    refusal = judged(STRONG.judgement, {"": 0.1})
    assert not refusal.answerable
    assert "none of them answers this question" in refusal.reason
    assert "keine beantwortet" in judged(STRONG.judgement, {"": 0.0}, "Wie viele Tage Urlaub gibt es?").reason


@pytest.mark.parametrize("sure", [{"": 0.11}, {"": 1.0}, {"Hotel": 0.0, "Unused": 0.5}])
def test_unsure_reader_preserves_the_rules_judgement(sure: dict[str, float]) -> None:
    assert judged(STRONG.judgement, sure) == STRONG.judgement


@pytest.mark.parametrize("failure", [Unavailable("away"), ConfigurationError("not there")])
def test_failed_reader_preserves_the_rules_judgement(failure: Exception) -> None:
    for rules in (STRONG, Says(LACKING)):
        judge = ReaderAnswerability(rules, FakeReader(failure=failure))
        assert judge.judge(QUESTION, HITS) == rules.judgement


def test_reader_reads_the_best_passages_with_headings() -> None:
    reader = FakeReader()
    hits = [make_hit(f"Text {n}.", section=("A", "B"), ordinal=n) for n in range(9)]
    ReaderAnswerability(STRONG, reader).judge(QUESTION, hits)
    assert reader.asked == [(QUESTION, tuple(f"Annual leave > A > B\nText {n}." for n in range(5)))]


def test_reader_is_not_asked_without_hits() -> None:
    reader = FakeReader()
    assert ReaderAnswerability(Says(LACKING), reader).judge(QUESTION, []) == LACKING
    assert reader.asked == []


def test_answerability_without_a_reader_uses_rules() -> None:
    assert isinstance(build_answerability(FakeEmbedder(), None), RuleAnswerability)
    assert isinstance(build_answerability(FakeEmbedder(), FakeReader()), ReaderAnswerability)
