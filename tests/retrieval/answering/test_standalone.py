import pytest

from retrieval.answering.standalone import LONGEST, leans_back, standalone_question
from retrieval.types import Turn

LEAVE = Turn("How much annual leave do I get?", "25 days. [1]")


@pytest.mark.parametrize(
    "question",
    [
        "And for part-time employees?",
        "What about contractors?",
        "Can it be carried over?",
        "Who approves that?",
        "How do they apply?",
        "Why?",
        "Und für Teilzeitkräfte?",
        "Wer genehmigt das?",
        "Kann man ihn übertragen?",
    ],
)
def test_follow_ups_take_the_question_before_along(question: str) -> None:
    assert standalone_question(question, [LEAVE]) == f"{LEAVE.question} {question}"


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
def test_other_questions_stand_by_themselves(question: str) -> None:
    assert standalone_question(question, [LEAVE]) == question


def test_a_chain_of_follow_ups_reaches_back_to_its_subject() -> None:
    history = [Turn("Old question?", ""), LEAVE, Turn("And for contractors?", "None.")]
    assert standalone_question("Why?", history) == f"{LEAVE.question} And for contractors? Why?"


def test_nothing_before_nothing_added() -> None:
    assert standalone_question("Why?", []) == "Why?"


def test_endless_history_does_not_swell_the_question() -> None:
    assert standalone_question("Why?", [Turn("x " * 10_000, "")]) == "Why?"
    assert len(standalone_question("y" * 100_000, [LEAVE])) <= LONGEST


def test_white_space_does_not_lean_on_anything() -> None:
    assert not leans_back("  ")
