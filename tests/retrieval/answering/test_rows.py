"""A figure of a row may only be stated of what that row is about."""

import pytest

from cairn.inference.protocols import Inference
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.prompts.evidence import build_passages
from tests.fakes import FakeEmbedder, FakeInference
from tests.retrieval.answering.builders import make_hit

REVIEW = "End of year performance review"
TABLE = (
    "| Step | Date |\n|---|---|\n"
    "| Kick-off meeting | October 1, 2025 |\n"
    "| Managers submit ratings | November 14, 2025 |\n"
    "| Final talks | December 12, 2025 |"
)
BARE_TABLE = (
    "Kick-off meeting | October 1, 2025\n"
    "Managers submit ratings | November 14, 2025\n"
    "Final talks | December 12, 2025"
)
LIST = (
    "These dates apply:\n- Kick-off meeting on October 1, 2025\n"
    "- Managers submit ratings by November 14, 2025\n- Final talks until December 12, 2025"
)
LABELS = (
    "Kick-off meeting: October 1, 2025\nManagers submit ratings: November 14, 2025\n"
    "Final talks: December 12, 2025"
)
APART = LABELS.replace("\n", "\n\n")
SHAPES = [TABLE, BARE_TABLE, LIST, LABELS, APART]


def passes(sentence: str, text: str, *, title: str = REVIEW, question: str = "What are the rules?") -> bool:
    """Return whether the check passes the sentence, with a model that takes every window to state it."""
    evidence = build_passages([make_hit(text, title=title)], budget=10_000, count_tokens=len)
    hypotheses = (sentence, f"{question} {sentence}")
    convinced = FakeInference({("", hypothesis): Inference(1.0, 0.0) for hypothesis in hypotheses})
    checker = SentenceChecker(
        evidence, FakeEmbedder(), question=question, reason_language="en", inference=convinced
    )
    return bool(checker.check(sentence, [1]).grounds)


@pytest.mark.parametrize("text", SHAPES)
@pytest.mark.parametrize(
    ("sentence", "is_right"),
    [
        ("The end of year performance review is on October 1, 2025.", False),
        ("The performance review is on November 14, 2025.", False),
        ("The kick-off meeting of the end of year performance review is on October 1, 2025.", True),
        ("Managers submit ratings by November 14, 2025.", True),
    ],
)
def test_date_of_a_row_needs_words_of_that_row(text: str, sentence: str, is_right: bool) -> None:
    assert passes(sentence, text) is is_right


@pytest.mark.parametrize("text", SHAPES)
def test_fragment_takes_the_words_of_its_question(text: str) -> None:
    assert not passes("October 1, 2025.", text, question="When is the end of year performance review?")
    assert passes("October 1, 2025.", text, question="When is the kick-off meeting?")


@pytest.mark.parametrize(
    ("title", "text", "sentence"),
    [
        ("Hotel rates", "Oslo: 180 dollars\nRome: 140 dollars", "Hotel rates are 180 dollars."),
        ("Opening hours", "- Pool: 9:00 a.m.\n- Library: 10:00 a.m.", "Opening hours are from 9:00 a.m."),
        ("Team events", "Summer party | June\nWinter dinner | December", "Team events are in June."),
        ("Team meetings", "Sales: Monday\nSupport: Friday", "Team meetings are on Monday."),
        (
            "Annual leave",
            "| Level | Days |\n|---|---|\n| Junior | 20 |\n| Senior | 25 |",
            "Annual leave is 20 days.",
        ),
        (
            "Jahresurlaub",
            "Die Tage im Überblick:\n- Für Auszubildende 25 Tage\n- Für die Leitung 30 Tage",
            "Der Jahresurlaub beträgt 30 Tage.",
        ),
        (
            "Grants",
            "Grants for travel: 500 euros\nGrants for books: 200 euros",
            "Grants are 500 euros.",
        ),
    ],
)
def test_heading_does_not_connect_any_kind_of_figure(title: str, text: str, sentence: str) -> None:
    assert not passes(sentence, text, title=title)


@pytest.mark.parametrize(
    ("title", "text", "sentence"),
    [
        (
            "Summer party",
            "| Event | Date |\n|---|---|\n| Evening | June 10, 2025 |",
            "The summer party is on June 10, 2025.",
        ),
        ("Summer party", "- Evening of June 10, 2025\n- Garden", "The summer party is on June 10, 2025."),
        ("Company holidays", "- January 1\n- May 1\n- December 25", "May 1 is among the company holidays."),
        ("Gold plan", "Price: 20 dollars\nSetup fee: 5 dollars", "The gold plan is 20 dollars."),
        (
            "Company holidays",
            "New Year: January 1\nLabour Day: May 1",
            "Company holidays are January 1 and May 1.",
        ),
        (
            "Annual leave",
            "5 years of service | 25 days\n9 years of service | 30 days",
            "Annual leave after 5 years is 25 days.",
        ),
        ("Annual leave", "Annual leave: 25 days\nCarry-over: 5 days", "Annual leave is 25 days."),
        ("Review", "Managers:\n- Ratings by May 2\n- Talks by May 9", "Review: managers' talks by May 9."),
        (
            "Summer party",
            "The party on June 10, 2025 has these parts:\n- Dinner from 7 p.m.\n- Music on June 11, 2025",
            "The summer party is on June 10, 2025.",
        ),
        (
            "Results of 2025",
            "Income | 500 euros | 2024\nCosts | 400 euros | 2023",
            "The results of 2025 have income of 500 euros.",
        ),
        (
            "Fees",
            "| Ticket | until June 10 | after June 10 |\n| Member | $50 | $60 |\n| Guest | $70 | $80 |",
            "The ticket of a member is $50 until June 10.",
        ),
        (
            "Summer party",
            "The summer party is on June 10, 2025. Tickets are sold until June 1, 2025.",
            "The summer party is on June 10, 2025.",
        ),
        (
            "Summer party",
            "Evening: June 10\nMusic: June 11\n\nThe summer party starts on June 10.",
            "The summer party is on June 10.",
        ),
    ],
)
def test_true_sentences_about_rows_and_prose_pass(title: str, text: str, sentence: str) -> None:
    assert passes(sentence, text, title=title)
