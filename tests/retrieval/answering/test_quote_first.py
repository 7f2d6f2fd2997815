"""Answers that begin with the sentence that the model relies on."""

import pytest

from retrieval.answering import answer
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.generation.quote_first import MAX_QUOTE, QuoteFirstReader
from retrieval.answering.prompts.prompt import QUOTE_FIRST_VERSION
from retrieval.types import Answer, Done, Location
from tests.fakes import FakeEmbedder
from tests.retrieval.answering.builders import LEAVE, STRONG, Writer, make_hit

QUESTION = "How many days of annual leave do employees earn?"
SENTENCE = "Employees earn 25 days of annual leave a year."
QUOTED = f"Quote: “{SENTENCE}” [1]\nAnswer: "


def read(text: str, *, size: int) -> tuple[str, bool]:
    reader = QuoteFirstReader([LEAVE])
    found = "".join(reader.feed(text[at : at + size]) for at in range(0, len(text), size)) + reader.close()
    return found, reader.is_rejected


def written(text: str) -> Answer:
    writer = Writer(text)
    found = answer(
        QUESTION,
        search=lambda _: [make_hit(LEAVE)],
        chat=writer,
        embedder=FakeEmbedder(),
        locate=lambda hit, quote: Location(None, (), ""),
        answerability=STRONG,
        evidence=EvidenceBudget(writer, 320, None, QUOTE_FIRST_VERSION),
    )
    last = list(found)[-1]
    assert isinstance(last, Done)
    return last.answer


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "quote",
    [
        SENTENCE,
        f"“{SENTENCE}” [1]",
        f"*{SENTENCE.upper()}*",
        "Employees earn 25  days\nof annual leave…",
    ],
)
def test_only_the_answer_after_a_verbatim_quote_is_read(quote: str, size: int) -> None:
    assert read(f"Quote: {quote}\nAnswer: 25 days [1].\nAnswer: no", size=size) == (
        "25 days [1].\nAnswer: no",
        False,
    )


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "Quote: Employees earn 30 days of annual leave a year.\nAnswer: 30 days [1].",
        "Quote: 25\nAnswer: 25 days [1].",
        "Quote:\nAnswer: 25 days [1].",
        f"Quote: {SENTENCE}",
        f"Quote: {'x' * MAX_QUOTE}{SENTENCE} and so on",
    ],
)
def test_text_after_an_invented_quote_is_ignored(text: str, size: int) -> None:
    assert read(text, size=size) == ("", True)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", ["Employees earn 25 days [1].", "Yes.", ""])
def test_text_without_a_quote_is_unchanged(text: str, size: int) -> None:
    assert read(text, size=size) == (text, False)


def test_answer_shows_the_text_after_its_quote() -> None:
    found = written(f"{QUOTED}{SENTENCE[:-1]} [1].")
    assert (found.mode, found.prompt_version) == ("generated", QUOTE_FIRST_VERSION)
    assert found.text == f"{SENTENCE} [1]"


def test_invented_quote_is_replaced_by_a_real_one() -> None:
    found = written(f"Quote: Employees earn 30 days of leave.\nAnswer: {SENTENCE[:-1]} [1].")
    assert found.mode == "extractive"
    assert SENTENCE in found.text


def test_text_after_a_real_quote_is_checked() -> None:
    found = written(f"{QUOTED}Employees earn 30 days of annual leave a year [1].")
    assert "30 days" not in found.text
    assert found.mode == "extractive"
