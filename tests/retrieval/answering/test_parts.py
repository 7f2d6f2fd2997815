from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.answering.query.decompose import MAX_CHARACTERS, MAX_PARTS, split_question
from retrieval.answering.text.lexicon import language_of
from retrieval.answering.text.terms import content_stems
from retrieval.evaluation.gold_file import Kind, gold_questions
from retrieval.types import Turn


def texts(question: str) -> list[str]:
    return [part.text for part in split_question(question)]


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "How many days of leave do I get and how do I ask for them?",
            ["How many days of leave do I get?", "How do I ask for them?"],
        ),
        (
            "How many days do I get, how do I request them, and who approves?",
            ["How many days do I get?", "How do I request them?", "Who approves?"],
        ),
        (
            "Can I work from abroad, and do I need approval?",
            ["Can I work from abroad?", "Do I need approval?"],
        ),
        ("Where do I park? Is it free?", ["Where do I park?", "Is it free?"]),
        (
            "Whom do I ask for a Mural account and for the Smartsheet group?",
            ["Whom do I ask for a Mural account?", "Whom do I ask for the Smartsheet group?"],
        ),
        (
            "I'm in the Reserve: how many days do I get, and what tool tells me the cost?",
            [
                "I'm in the Reserve: how many days do I get?",
                "I'm in the Reserve: what tool tells me the cost?",
            ],
        ),
        (
            "What are the limits for:\n- hotels\n- meals",
            ["What are the limits for hotels?", "What are the limits for meals?"],
        ),
        (
            "Please tell me:\n1. How many days of leave do I get?\n2. Who approves it?",
            ["How many days of leave do I get?", "Who approves it?"],
        ),
        (
            "Wie viele Urlaubstage habe ich und wie beantrage ich sie?",
            ["Wie viele Urlaubstage habe ich?", "Wie beantrage ich sie?"],
        ),
        (
            "Wer genehmigt Dienstreisen und muss ich sie vorher beantragen?",
            ["Wer genehmigt Dienstreisen?", "Muss ich sie vorher beantragen?"],
        ),
        (
            "Ich bin neu hier: wie bekomme ich einen Laptop, und wo parke ich?",
            ["Ich bin neu hier: wie bekomme ich einen Laptop?", "Ich bin neu hier: wo parke ich?"],
        ),
    ],
)
def test_compound_question_is_split_into_parts(question: str, parts: list[str]) -> None:
    assert texts(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "What are the terms and conditions?",
        "How do sick and annual leave differ?",
        "How many days of sick and annual leave do I get?",
        "How and when do I apply for leave?",
        "When and where is the all-hands?",
        "How long and how often may I work from abroad?",
        "What happens when I am ill and when I come back late?",
        "How do people who travel and who are ill report hours?",
        "How should we divide it up between them, me, and what lies ahead?",
        "What is the policy for me and for my family together?",
        "What's the process to book and pay for a hotel?",
        "Once an agreement is signed, how long can staffing take?",
        "I was told to fill out the questionnaire. How long do I get for it?",
        "Hello! How do I reset my password? Thanks a lot!",
        "Was kostet das Jobticket und die Parkkarte?",
        "In welchem Dokument steht, wie viele Tage ich bekomme?",
        "leave policy and benefits",
        "",
        "???",
    ],
)
def test_single_question_is_not_split(question: str) -> None:
    [part] = split_question(question)
    assert (part.text, part.query) == (question, " ".join(question.split()))


@pytest.mark.parametrize(
    "text", ["Who is ill? How much is form 630:", "How much is form 630:\n- Who is ill?"]
)
def test_lead_in_without_its_list_is_a_part(text: str) -> None:
    assert sorted(part.text for part in split_question(text)) == ["How much is form 630?", "Who is ill?"]


def test_dependent_part_is_completed_for_the_search() -> None:
    _, asking = split_question("How many days of leave do I get and how do I ask for them?")
    assert asking.query == "How do I ask for days of leave?"
    _, when = split_question("How do I request a laptop and when do I get it?")
    assert when.query == "How do I request a laptop? When do I get it?"


def test_first_part_of_a_question_uses_the_conversation() -> None:
    history = [Turn("How much annual leave do I get?", "25 days.")]
    first, second = split_question("Can it be carried over, and who approves sabbaticals?", history)
    assert first.query == "How much annual leave do I get? Can it be carried over?"
    assert second.query == "Who approves sabbaticals?"


def test_excess_parts_are_joined_in_the_last() -> None:
    question = " ".join(f"What is the limit of budget{n}x?" for n in range(9))
    found = split_question(question)
    assert len(found) == MAX_PARTS
    assert all(f"budget{n}x" in " ".join(part.query for part in found) for n in range(9))


def test_huge_question_is_not_split() -> None:
    question = "How do I do this and how do I do that? " * 5000
    assert len(question) > MAX_CHARACTERS
    assert len(split_question(question)) == 1


_CLAUSES = st.sampled_from(
    [
        "how many days of leave do I get",
        "who approves sabbaticals",
        "where do I park my bicycle",
        "what does the canteen cost",
        "do I need a badge for the garage",
        "which form is right for parental leave",
        "wie beantrage ich Elternzeit",
        "welche Fristen gelten für Spesen",
    ]
)
_JOINS = st.sampled_from([" and ", ", and ", "? ", "; ", " und ", "?\n"])


@given(st.lists(_CLAUSES, min_size=2, max_size=MAX_PARTS, unique=True), _JOINS)
def test_split_gives_one_part_per_question_without_changing_words(clauses: list[str], join: str) -> None:
    question = join.join(clauses) + "?"
    found = texts(question)
    assert [text.rstrip("?").casefold() for text in found] == [clause.casefold() for clause in clauses]


_WORDS = st.sampled_from(
    [
        "how", "what", "and", "und", ",", "?", "when", "where", "who", "the", "leave", "form", "630", "for",
        ".", "it", "do", "I", "get", "approve", "\n", "-", ":", "1.", "wie", "ich",
    ]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=30))
def test_split_preserves_every_word_in_order(words: list[str]) -> None:
    question = " ".join(words)
    found = split_question(question)
    assert 1 <= len(found) <= MAX_PARTS
    asked = content_stems(question, language_of(question))
    told = content_stems(" ".join(part.text for part in found), language_of(question))
    between = {"1", "und"}  # the number of an item, and what joins two parts
    assert told | between == asked | between
    assert all(part.query.strip() for part in found) or not question.strip()


GOLD = Path(__file__).parents[2] / "gold" / "handbook_dev.jsonl"
QUESTIONS = gold_questions(GOLD.read_text(encoding="utf-8").splitlines())


def test_only_compound_gold_questions_are_split() -> None:
    cut = {item.id for item in QUESTIONS if len(split_question(item.question)) > 1}
    assert cut == {item.id for item in QUESTIONS if item.kind is Kind.TWO_PAGES}


@given(st.text(max_size=300))
def test_any_text_has_parts(text: str) -> None:
    assert 1 <= len(split_question(text)) <= MAX_PARTS
