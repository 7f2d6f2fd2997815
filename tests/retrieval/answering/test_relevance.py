"""A written answer has to answer the question about as well as the best quote."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cairn.errors import Unavailable
from retrieval.answering import answer
from retrieval.answering.generation.relevance import RelevanceToQuestion, rate_relevance
from retrieval.types import Answer, Done, Location
from tests.fakes import FakeEmbedder
from tests.retrieval.answering.builders import STRONG, Writer, make_hit

QUESTION = "How often does the board meet?"
BESIDE = "The board has regular meetings."
QUOTE = "The board meets twice a year in the office."
HIT = make_hit(f"{BESIDE}\n\n{QUOTE}", title="Board")


class WordReranker:
    """Finds texts relevant that have a word."""

    name = "words"
    max_texts = 16
    languages = None

    def __init__(self, word: str, *, fails: bool = False) -> None:
        self._word, self._fails = word, fails

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        if self._fails:
            raise Unavailable("The reranker is away.")
        return [0.99 if self._word in text else 0.01 for text in texts]


def write(text: str, reranker: WordReranker) -> Answer:
    reranked = replace(HIT, scores=replace(HIT.scores, rerank=0.9))
    *_, last = answer(
        QUESTION,
        search=lambda _: [reranked],
        chat=Writer(text),
        embedder=FakeEmbedder(),
        locate=lambda hit, quote: Location(),
        answerability=STRONG,
        reranker=reranker,
    )
    assert isinstance(last, Done)
    return last.answer


def test_irrelevant_sentence_is_replaced_by_a_quote() -> None:
    given = write(f"{BESIDE} [1]", WordReranker("twice"))
    assert given.mode == "extractive"
    assert "twice a year" in given.text
    assert "better than what the language model wrote" in given.reason, "it was supported"
    assert given.sentences[0].text == BESIDE
    assert given.sentences[0].reason == "Supported, but not relevant enough to the question."


def test_false_sentence_is_not_reported_as_supported() -> None:
    given = write("The board meets in Rome. [1]", WordReranker("twice"))
    assert given.mode == "extractive"
    assert "I couldn’t write an answer that the documents support" in given.reason
    assert "relevant" not in given.sentences[0].reason


def test_sentence_as_relevant_as_the_quote_is_preserved() -> None:
    assert write(f"{QUOTE} [1]", WordReranker("twice")).mode == "generated"


def test_failed_reranker_falls_back_to_words() -> None:
    assert write(f"{BESIDE} [1]", WordReranker("twice", fails=True)).mode == "generated"


@pytest.mark.parametrize(("best", "near"), [(0.0, False), (-3.0, True)])
def test_the_gap_to_the_best_quote_decides(best: float, near: bool) -> None:
    assert RelevanceToQuestion(QUESTION, WordReranker("twice"), best).is_near_best(BESIDE) is near


def test_follow_up_outweighs_its_previous_question() -> None:
    class Pairs(WordReranker):
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return [0.999 if text in query else 0.01 for text in texts]

    earlier, later = rate_relevance("What is a permit? And a badge?", ["permit", "badge"], Pairs(""))
    assert later > earlier
