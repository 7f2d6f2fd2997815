"""A written answer has to answer the question about as well as the best quote."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cairn.errors import Unavailable
from retrieval.answering import answer
from retrieval.answering.generation.relevance import RelevanceToQuestion, rate_relevance
from retrieval.types import Answer, Done, Hit, Location
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
    languages: frozenset[str] | None = None

    def __init__(self, word: str, *, fails: bool = False) -> None:
        self._word, self._fails = word, fails

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        if self._fails:
            raise Unavailable("The reranker is away.")
        return [0.99 if self._word in text else 0.01 for text in texts]


def write(
    text: str,
    reranker: WordReranker,
    *,
    question: str = QUESTION,
    hit: Hit = HIT,
    was_reranked: bool = True,
    selects: bool = False,
) -> Answer:
    found = replace(hit, scores=replace(hit.scores, rerank=0.9 if was_reranked else None))
    *_, last = answer(
        question,
        search=lambda _: [found],
        chat=Writer(text),
        embedder=FakeEmbedder(),
        locate=lambda hit, quote: Location(),
        answerability=STRONG,
        selects=selects,
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


def test_first_quotes_are_rated_if_the_search_was_not_reranked() -> None:
    given = write(f"{BESIDE} [1]", WordReranker("twice"), was_reranked=False)
    assert given.mode == "extractive"
    assert given.sentences[0].reason == "Supported, but not relevant enough to the question."


class GermanReranker(WordReranker):
    languages = frozenset({"de"})


def test_no_reranker_is_asked_about_evidence_that_it_does_not_read() -> None:
    given = write(f"{BESIDE} [1]", GermanReranker("twice"), question="board meetings", was_reranked=False)
    assert given.mode == "generated"


@pytest.mark.parametrize("was_reranked", [True, False])
@pytest.mark.parametrize(("fails", "mode"), [(False, "generated"), (True, "extractive")])
def test_model_selects_a_sentence_only_if_it_was_rated(was_reranked: bool, fails: bool, mode: str) -> None:
    text = "The board of the foundation rents offices."
    reranker, hit = WordReranker("", fails=fails), make_hit(text, title="Rooms")
    given = write(f"{text} [1]", reranker, hit=hit, was_reranked=was_reranked, selects=True)
    assert given.mode == mode


@pytest.mark.parametrize(("best", "near"), [(0.0, False), (-3.0, True)])
def test_relevance_gap_to_the_best_quote_decides(best: float, near: bool) -> None:
    assert RelevanceToQuestion(QUESTION, WordReranker("twice"), best).is_near_best(BESIDE) is near


def test_follow_up_outweighs_its_previous_question() -> None:
    class Pairs(WordReranker):
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return [0.999 if text in query else 0.01 for text in texts]

    earlier, later = rate_relevance("What is a permit? And a badge?", ["permit", "badge"], Pairs(""))
    assert later > earlier
