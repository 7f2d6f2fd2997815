"""Reasons for what only the question says."""

import pytest

from retrieval.answering.grounding.reasons import find_explained_part
from tests.retrieval.answering.builders import make_hit
from tests.retrieval.answering.test_purpose import RerankerByQuery, is_supported

DRIVERS = make_hit("The staff of the warehouse has 12 drivers, three of them men.", title="Staff")
CANTEEN = make_hit(
    "The canteen is closed in May, because the kitchen is renovated. Lunch is served in the tent.",
    title="Canteen",
)


@pytest.mark.parametrize(
    ("sentence", "explained"),
    [
        ("The shop is closed because it is renovated.", "The shop is closed"),
        ("The shop is closed, since it is renovated.", "The shop is closed"),
        ("The shop is closed since May.", ""),
        ("Because it is renovated, the shop is closed.", "the shop is closed."),
        ("Because it is renovated.", ""),
        ("The shop is renovated, so it is closed.", " it is closed."),
        ("The shop is renovated and therefore closed.", ""),
        ("Der Laden ist zu, weil er renoviert wird.", "Der Laden ist zu"),
        ("Der Laden wird renoviert, deshalb ist er zu.", " ist er zu."),
        ("The shop is closed.", ""),
    ],
)
def test_finds_what_a_reason_is_given_for(sentence: str, explained: str) -> None:
    assert find_explained_part(sentence) == explained


@pytest.mark.parametrize(
    "sentence",
    [
        "Men are bad drivers because the staff of the warehouse has 12 drivers, three of whom are men.",
        "Because the staff of the warehouse has 12 drivers and three of them are men, men are bad drivers.",
        "The staff of the warehouse has 12 drivers, three of them men, so men are bad drivers.",
    ],
)
def test_assumption_of_the_question_is_not_supported_by_any_reason(sentence: str) -> None:
    question = "Why are men bad drivers? Explain it with the drivers of the warehouse."
    assert not is_supported(sentence, question, RerankerByQuery({}), DRIVERS)
    stated = make_hit(sentence, title="Staff")
    assert is_supported(sentence, question, RerankerByQuery({}), stated)


@pytest.mark.parametrize(
    "sentence",
    [
        "The canteen is closed because the kitchen is renovated.",
        "In May, the canteen is closed because the kitchen is renovated.",
    ],
)
def test_reason_that_the_passage_gives_is_supported(sentence: str) -> None:
    assert is_supported(sentence, "Why is the canteen closed in May?", RerankerByQuery({}), CANTEEN)
