from dataclasses import replace

import pytest

from retrieval.answering.answerability.calibration import Calibration
from retrieval.answering.answerability.rules import RuleAnswerability
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
        "How many days of annual leave do employees earn a year?",
        "How do I donate leave to a colleague?",
        "Up to how much are hotel costs reimbursed in Denver?",
        "When do I submit the voucher after a trip?",
        "how do i donat leave to a coleague",
    ],
)
def test_question_about_a_passage_is_answerable(question: str) -> None:
    judgement = judged(question)
    assert judgement.answerable
    assert judgement.strong
    assert not judgement.reason


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What is the cafeteria's lunch menu on Fridays?", "none of them mentions “Fridays”"),
        ("Which hotels are there in Boise?", "none of them mentions “Boise”"),
        ("What was the annual leave policy for contractors in 2019?", "“2019”"),
        ("Wie hoch ist die Miete der Wohnung?", "beantwortet diese Frage"),
        ("Wer ist es?", "beantwortet diese Frage"),
    ],
)
def test_missing_subject_is_named_in_the_reason(question: str, reason: str) -> None:
    judgement = judged(question)
    assert not judgement.answerable
    assert reason in judgement.reason


def test_name_in_unrelated_passages_counts_as_missing() -> None:
    lunch = "What is the cafeteria's lunch menu on Fridays?"
    served, cleaned = make_hit("The cafeteria serves lunch."), make_hit("The fridge is cleaned on Fridays.")
    assert "“Fridays”" in judged(lunch, [served, cleaned]).reason
    assert judged(lunch, [served, make_hit("Fridays: fish is on the menu.")]).answerable


def test_name_in_the_best_hit_or_another_language_is_sufficient() -> None:
    fitness = make_hit("The Boise team pays for its fitness room.")
    assert judged("Which gym is there in Boise?", [fitness, make_hit(TRAVEL)]).signals["unnamed"] == 0
    assert judged("Which gym is there in Boise?", [make_hit(TRAVEL), fitness]).signals["unnamed"] == 1
    spent = make_hit("The GSA pays all that is spent on the way there and back again.")
    assert judged("Welche Kosten trägt das GSA?", [make_hit(TRAVEL), spent]).signals["unnamed"] == 0


def test_name_in_the_users_own_situation_need_not_occur() -> None:
    assert judged("My wife was sent to Boise. How many days of annual leave do employees earn?").answerable
    assert not judged("Which colleague donates leave in Boise?").answerable


STRICT = Calibration(bias=0.5, weights={"gap": -20, "uncounted": -4}, threshold=0.5)


@pytest.mark.parametrize(
    ("question", "text", "reason"),
    [
        (
            "What is the price of the parking permit?",
            "The parking permit has a price.",
            "states this amount",
        ),
        ("What is the price of the parking permit?", "The price of the parking permit is $40.", ""),
        ("How many seats does the room have?", "The room has seats.", "states this number"),
        (
            "How many seats does the room have?",
            "The room has 3 doors and many more seats.",
            "states this number",
        ),
        ("How many seats does the room have?", "The room has twelve seats.", ""),
        (
            "What time does the front desk open?",
            "The front desk will open.",
            "gives this time of day",
        ),
        ("What time does the front desk open?", "The front desk will open at 9 am.", ""),
        ("Wie lange dauert die Prüfung?", "Die Prüfung ist schwer.", "nennt diese Dauer"),
        ("Wie lange dauert die Prüfung?", "Die Prüfung dauert drei Wochen.", ""),
    ],
)
def test_expected_answer_type_must_occur(question: str, text: str, reason: str) -> None:
    judgement = RuleAnswerability(FakeEmbedder(), STRICT).judge(question, [make_hit(text, title="Office")])
    assert judgement.answerable is not bool(reason)
    assert reason in judgement.reason


def test_no_evidence() -> None:
    assert not judged("What?", []).answerable


def test_passage_without_text_is_not_answerable() -> None:
    assert not judged("What is the price of the permit?", [make_hit("")]).answerable


def test_hits_without_scores_are_embedded_for_judging() -> None:
    near = Calibration(bias=-0.5, weights={"near": 1}, threshold=0.5)
    judge = RuleAnswerability(FakeEmbedder(), near)
    question = "How much annual leave do employees earn a year?"
    assert judge.judge(question, [make_hit(LEAVE, dense=None)]).signals["near"] > 0
    assert judge.judge(question, [make_hit(LEAVE, dense=0.7)]).signals["near"] == 0.7


class Synonyms(FakeEmbedder):
    """Knows that a baby is a child."""

    def _vector(self, text: str):  # type: ignore[no-untyped-def]  # the fake's own
        return super()._vector(text.lower().replace("baby", "child"))


def test_synonyms_count_by_meaning() -> None:
    meant = Calibration(bias=-0.9, weights={"meaning": 1}, threshold=0.5)
    hit = make_hit("You get 12 weeks of leave for a child.", title="Parents", dense=0.5)
    question = "Is there leave for a baby?"
    assert not RuleAnswerability(FakeEmbedder(), meant).judge(question, [hit]).answerable
    assert RuleAnswerability(Synonyms(), meant).judge(question, [hit]).answerable


@pytest.mark.parametrize(
    ("scores", "is_known"),
    [((0.1, 0.2), True), ((0.1, None), False), ((0.9, None), True), ((None, None), False)],
)
def test_low_relevance_counts_only_if_all_passages_were_rated(
    scores: tuple[float | None, ...], is_known: bool
) -> None:
    hits = [
        replace(hit, scores=replace(hit.scores, rerank=score))
        for hit, score in zip(HITS, scores, strict=True)
    ]
    assert ("relevance" in judged("How much annual leave do employees earn?", hits).signals) is is_known
