"""Questions out of headings: grammatical, or none."""

import pytest

from retrieval.suggestions.generator import MAX_SUGGESTIONS, questions_of


def made(*headings: str, title: str = "Leave rules", language: str | None = "en") -> list[str]:
    return [
        each.question for each in questions_of(title, [["Part", heading] for heading in headings], language)
    ]


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("Who may take leave?", "Who may take leave?"),
        ("3.2 Who may take leave?", "Who may take leave?"),
        ("Cancel your import", "How do I cancel my import?"),
        ("Travel to Bonn", "How do I travel to Bonn?"),
        ("4. Ask for leave.", "How do I ask for leave?"),
        ("Submitting expenses", "How do I submit expenses?"),
        ("Configuring the printers", "How do I configure the printers?"),
        ("How to book a trip", "How do I book a trip?"),
        ("Book a trip", "How do I book a trip?"),
        ("Who approves travel?", "Who approves travel?"),
        ("Who can read the documents", "Who can read the documents?"),
        ("How is a trip booked", "How is a trip booked?"),
        ("Open points", "What should I know about Open points?"),
        ("Opening hours", "What should I know about Opening hours?"),
        ("Working hours", "What should I know about Working hours?"),
        ("Upload limits", "What should I know about Upload limits?"),
        ("Joining fee", "What should I know about Joining fee?"),
        ("Travel expenses", "What should I know about Travel expenses?"),
    ],
)
def test_heading_becomes_a_question(heading: str, question: str) -> None:
    assert made(heading) == [question]


@pytest.mark.parametrize(
    "heading",
    [
        "", "Why?", "Overview", "See also", "When is this updated?", "Run `make up`", "config.yaml",
        "<b>Pay</b>", "Pay",
        "One rather long noun heading of many words", "Leave rules", "leave Rules", "x" * 500,
        "I am new. How can I do that?",
        "Want to learn more about pensions?", "Leaving the page during an import",
        "What? And why is it so?", "What Cairn takes", "Who we are", "What is",
    ],
)  # fmt: skip
def test_heading_without_meaning_of_its_own_is_omitted(heading: str) -> None:
    assert made(heading) == []


@pytest.mark.parametrize(
    "heading",
    [
        "employees who have worked for", "Applications for leave must be sent to the", "Leave, sick pay and",
        "Rules for the,", "- and others", "Leave (paid", "Urlaub und Krankheit für die", "(see below",
    ],
)  # fmt: skip
def test_sentence_fragments_are_omitted(heading: str) -> None:
    assert made(heading) == []


def test_questions_of_the_document_precede_generated_ones() -> None:
    assert made("Sick leave", "Who may take leave?", "Pay") == ["Who may take leave?"]
    assert len(made(*(f"Kind of leave {word}" for word in "abcdefgh"))) == MAX_SUGGESTIONS
    assert made("Sick pay", "Sick pay", "SICK PAY") == ["What should I know about Sick pay?"]


def test_suggestions_are_generated_only_in_supported_languages() -> None:
    assert made("Krankheit", title="Urlaub", language="de") == ["Was sollte ich zum Thema Krankheit wissen?"]
    assert made("Start ins Berufsleben", title="Urlaub", language="de")[0].startswith("Was sollte ich")
    assert made("Wer die Dokumente lesen darf", title="Urlaub", language="de") == []
    assert made("Maladie", language="fr") == []
    assert made("Qui peut en prendre ?", language="fr") == ["Qui peut en prendre ?"]
