"""Sentences that take a purpose or other words from their question."""

from collections.abc import Sequence

import pytest

from cairn.errors import Unavailable
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.grounding.purpose import split_purpose
from retrieval.answering.prompts.evidence import build_passages
from retrieval.types import Hit
from tests.fakes import FakeEmbedder, FakeReranker
from tests.retrieval.answering.builders import make_hit

PRINTING = make_hit(
    "Open the File menu and choose Print. Pick a paper size. The price is two dollars a page.",
    title="Printing",
)


class RerankerByQuery(FakeReranker):
    """Scores by what is asked, whatever the text."""

    def __init__(self, scores: dict[str, float], other: float = 1.0) -> None:
        super().__init__()
        self._scores = scores
        self._other = other

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [self._scores.get(query, self._other) for _ in texts]


def is_supported(
    sentence: str, question: str, reranker: FakeReranker | None, passage: Hit = PRINTING
) -> bool:
    evidence = build_passages([passage], budget=10_000, count_tokens=len)
    checker = SentenceChecker(
        evidence, FakeEmbedder(), question=question, reason_language="en", reranker=reranker
    )
    return bool(checker.check(sentence, [1]).grounds)


@pytest.mark.parametrize(
    ("sentence", "question", "rest"),
    [
        ("To export 50 rows, press Download.", "How do I export 50 rows?", "Press Download."),
        ("In order to export rows, press Download.", "can I export rows", "Press Download."),
        ("To export 60 rows, press Download.", "How do I export 50 rows?", ""),
        ("To export rows from Berlin, press Download.", "How do I export rows?", ""),
        ("To not export rows, press Download.", "How do I export rows?", ""),
        ("To delete rows, press Download.", "How do I export rows?", ""),
        ("If you export rows, press Download.", "What if I export rows?", ""),
        ("Press Download to export rows, and wait.", "How do I export rows?", ""),
    ],
)
def test_splits_off_only_the_purpose_that_the_question_has(sentence: str, question: str, rest: str) -> None:
    purpose, found = split_purpose(sentence, question, "en")
    assert found == (rest or sentence)
    assert bool(purpose) == bool(rest)


def test_purpose_from_the_question_needs_only_a_relevant_passage() -> None:
    question = "How do I get 500 posters on paper?"
    sentence = "To get 500 posters on paper, open the File menu and choose Print."
    assert is_supported(sentence, question, RerankerByQuery({}))
    assert not is_supported(sentence, question, RerankerByQuery({question: 0.001}))
    assert not is_supported(sentence, question, None)


def test_purpose_without_content_words_needs_a_relevant_passage() -> None:
    question = "My screen is locked. How do I do this?"
    sentence = "To do this, open the File menu and choose Print."
    assert is_supported(sentence, question, RerankerByQuery({}))
    assert not is_supported(sentence, question, RerankerByQuery({question: 0.001}))


def test_fragment_needs_a_passage_relevant_to_the_question() -> None:
    question = "When is the office closed in 2025?"
    review = make_hit("The review is held on June 10, 2025.", title="Dates")
    assert is_supported("June 10, 2025.", question, RerankerByQuery({}), review)
    assert not is_supported("June 10, 2025.", question, RerankerByQuery({question: 0.1}), review)


def test_claim_about_a_purpose_must_come_from_the_passage() -> None:
    question = "How do I get 500 posters?"
    assert not is_supported("To get 500 posters, choose Scan and wait.", question, RerankerByQuery({}))
    assert not is_supported(
        "To get 500 posters, do not open the File menu and choose Print.", question, RerankerByQuery({})
    )


def test_reranker_confirms_a_reordered_sentence() -> None:
    question = "What is there?"
    sentence = "Two dollars is the price of a page, and print paper size is what you pick."
    assert is_supported(sentence, question, None)
    assert is_supported(sentence, question, RerankerByQuery({}))
    assert not is_supported(sentence, question, RerankerByQuery({sentence: 0.5}))


def test_failed_reranker_is_skipped_in_checks() -> None:
    question = "What is there?"
    sentence = "Two dollars is the price of a page, and print paper size is what you pick."
    assert is_supported(sentence, question, FakeReranker(failure=Unavailable("The reranker is away.")))
