import pytest

from retrieval.answering.answerability import RuleAnswerability
from retrieval.answering.protocols import Judgement
from retrieval.types import Hit
from tests.fakes import FakeEmbedder
from tests.retrieval.answering.builders import LEAVE, TRAVEL, make_hit

HITS = [make_hit(TRAVEL, title="Travel in Denver", dense=0.6), make_hit(LEAVE, dense=0.5)]


def judged(question: str, hits: list[Hit] = HITS) -> Judgement:
    return RuleAnswerability(FakeEmbedder()).judge(question, hits)


@pytest.mark.parametrize(
    "question",
    [
        "How much annual leave do employees earn?",
        "How do I donate leave to a colleague?",
        "Up to how much are hotel costs reimbursed in Denver?",
        "When do I submit the voucher after a trip?",
    ],
)
def test_what_a_passage_speaks_of_is_answerable(question: str) -> None:
    assert judged(question) == Judgement(answerable=True, strong=True)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What is the cafeteria's lunch menu on Fridays?", "“cafeteria”, “lunch”, “menu” and “Fridays”"),
        ("Up to how much are hotel costs reimbursed in Boise?", "“Boise”"),
        ("How many days of annual leave did employees earn in 2019?", "“2019”"),
        ("How many employees donate leave in Denver?", "No passage found deals with all"),
        ("What is the phone number for hotel costs in Denver?", "number"),
        ("Wie hoch ist die Miete?", "etwas anderem"),
    ],
)
def test_what_is_missing_is_named(question: str, reason: str) -> None:
    judgement = judged(question)
    assert not judgement.answerable
    assert reason in judgement.reason


@pytest.mark.parametrize(
    ("question", "text", "answerable"),
    [
        ("What is the price of the parking permit?", "The parking permit has a price.", False),
        ("What is the price of the parking permit?", "The price of the parking permit is $40.", True),
        ("How many seats does the room have?", "The room has seats.", False),
        ("How many seats does the room have?", "The room has twelve seats.", True),
        ("What time does the front desk open?", "The front desk will open.", False),
        ("What time does the front desk open?", "The front desk will open at 9 am.", True),
    ],
)
def test_the_kind_of_thing_asked_for_must_be_there(question: str, text: str, answerable: bool) -> None:
    assert judged(question, [make_hit(text, title="Office")]).answerable is answerable


def test_far_passages_need_nearly_all_words() -> None:
    assert not judged(
        "Who approves a parking permit?", [make_hit("A permit.", title="Parking", dense=0.2)]
    ).answerable


def test_names_must_be_in_the_passage_that_speaks_of_the_rest() -> None:
    hits = [make_hit(TRAVEL, title="Travel"), make_hit("The Boise office has a library.", title="Boise")]
    assert not judged("Up to how much are hotel costs reimbursed in Boise?", hits).answerable


def test_no_evidence() -> None:
    assert not judged("What?", []).answerable


def test_without_scores_of_its_own_the_passages_are_embedded() -> None:
    hit = make_hit(LEAVE, dense=None)
    assert judged("How much annual leave do employees earn a year?", [hit]).answerable


class Synonyms(FakeEmbedder):
    """Knows that a baby is a child."""

    def _vector(self, text: str):  # type: ignore[no-untyped-def]  # the fake's own
        return super()._vector(text.lower().replace("baby", "child"))


def test_other_words_of_the_same_meaning_count() -> None:
    hit = make_hit("You get 12 weeks of leave for a child.", title="Parents", dense=0.5)
    question = "Is there leave for a baby?"
    assert not RuleAnswerability(FakeEmbedder()).judge(question, [hit]).answerable
    assert RuleAnswerability(Synonyms()).judge(question, [hit]).answerable
