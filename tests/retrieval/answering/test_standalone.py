from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.answering.query.standalone import (
    MAX_CHARACTERS,
    build_standalone_question,
    is_follow_up,
    is_fragment,
)
from retrieval.evaluation.gold_file import gold_questions
from retrieval.types import Turn

LEAVE = Turn("How much annual leave do I get?", "25 days. [1]")


@pytest.mark.parametrize(
    "question",
    [
        "And for part-time employees?",
        "What about contractors?",
        "for contractors",
        "only in winter",
        "longer for managers?",
        "Can it be carried over?",
        "Who approves that?",
        "How do they apply?",
        "Why?",
        "Und für Teilzeitkräfte?",
        "Wer genehmigt das?",
        "Kann man ihn übertragen?",
    ],
)
def test_follow_up_includes_the_previous_question(question: str) -> None:
    assert build_standalone_question(question, [LEAVE]) == f"{LEAVE.question} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "How do I reset my password?",
        "Is it possible to work from abroad?",
        "What holidays are there this year for staff that work in shifts, and how are they paid?",
        "Wie beantrage ich Elternzeit?",
        "Gibt es einen Zuschuss zum Jobticket?",
    ],
)
def test_standalone_question_is_unchanged(question: str) -> None:
    assert build_standalone_question(question, [LEAVE]) == question


@pytest.mark.parametrize("question", ["parking", "vpn", "Hotels?", "asdfgh", "Dienstwagen"])
def test_keyword_question_can_start_a_new_subject(question: str) -> None:
    assert is_fragment(question)
    assert build_standalone_question(question, [LEAVE]) == question
    assert build_standalone_question(question, [LEAVE], follows=True) == f"{LEAVE.question} {question}"


@pytest.mark.parametrize(
    "question", ["", "compare prices?", "Form 630", "CEMGSA", "for contractors", "Who pays?"]
)
def test_longer_text_is_not_a_fragment(question: str) -> None:
    assert not is_fragment(question)


def test_chained_follow_ups_use_the_original_subject() -> None:
    history = [Turn("Old question?", ""), LEAVE, Turn("And for contractors?", "None.")]
    assert build_standalone_question("Why?", history) == f"{LEAVE.question} And for contractors? Why?"


def test_question_without_history_is_unchanged() -> None:
    assert build_standalone_question("Why?", []) == "Why?"


def test_endless_history_does_not_swell_the_question() -> None:
    assert build_standalone_question("Why?", [Turn("x " * 10_000, "")]) == "Why?"
    assert len(build_standalone_question("y" * 100_000, [LEAVE])) <= MAX_CHARACTERS


def test_white_space_is_not_a_follow_up() -> None:
    assert not is_follow_up("  ")


@pytest.mark.parametrize(
    "question",
    [
        "What is the deadline?",
        "Who approves?",
        "What happens to the hours I have not used?",
        "How far in advance must that be?",
        "Does that policy apply to interns?",
        "And who if it is more than 80?",
        "Can I take the other one?",
        "Welche Frist gilt?",
        "Wie beantrage ich sie?",
    ],
)
def test_question_without_a_subject_uses_the_previous_one(question: str) -> None:
    assert build_standalone_question(question, [LEAVE]) == f"{LEAVE.question} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "And how do I reset my GSA password?",
        "What happens to a work laptop that is stolen, and who replaces it?",
        "Form 630",
        "CEMGSA",
        "Are there showers in the building?",
        "How do I request time off?",
        "Und wie viele Urlaubstage bekommen Teilzeitkräfte im Jahr?",
    ],
)
def test_new_topic_drops_the_previous_question(question: str) -> None:
    assert build_standalone_question(question, [LEAVE]) == question


GOLD = Path(__file__).parents[2] / "gold" / "handbook_dev.jsonl"
QUESTIONS = gold_questions(GOLD.read_text(encoding="utf-8").splitlines())
BY_THEMSELVES = [item.question for item in QUESTIONS if not item.history]


@given(st.sampled_from(BY_THEMSELVES), st.lists(st.sampled_from(BY_THEMSELVES), max_size=4))
def test_standalone_question_is_unchanged_by_any_history(question: str, before: list[str]) -> None:
    assert build_standalone_question(question, [Turn(item, "") for item in before]) == " ".join(
        question.split()
    )


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=4))
def test_rewritten_question_ends_with_the_original(question: str, before: list[str]) -> None:
    found = build_standalone_question(question, [Turn(item, "") for item in before])
    assert found.endswith(" ".join(question.split()))


def test_gold_follow_ups_are_recognised() -> None:
    missed = [item.id for item in QUESTIONS if item.history and not is_follow_up(item.question)]
    assert missed == []
