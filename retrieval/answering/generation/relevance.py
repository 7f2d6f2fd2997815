"""Whether a sentence answers the question about as well as the best quote would."""

import re
from collections.abc import Sequence
from typing import Final

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.metrics import count_model_failure
from retrieval.answering.answerability.signals import log_odds

MAX_GAP: Final = 2.0
"""Log odds. Of 20 answers of a 1.5B model to answerable questions of `product` and `operations`, all right
ones but one began with a sentence that the reranker found as relevant as the best block, or more so."""


_QUESTION_END: Final = re.compile(r"(?<=\?)\s+")


def find_queries(question: str) -> list[str]:
    """Return the question and, if it comes after an earlier one that it refers to, the last one alone: an
    answer to the earlier one must not count as much."""
    return list(dict.fromkeys((question, _QUESTION_END.split(question)[-1])))


def rate_relevance(question: str, texts: Sequence[str], reranker: Reranker) -> list[float]:
    """Return log odds, the mean of those of each query. Raises Unavailable or ConfigurationError."""
    queries = find_queries(question)
    rated = [[log_odds(score) for score in reranker.scores(query, texts)] for query in queries]
    return [sum(odds) / len(odds) for odds in zip(*rated, strict=True)]


def rate_most_relevant(question: str, texts: Sequence[str], reranker: Reranker) -> float | None:
    """Return the log odds of the most relevant text; None if the reranker fails."""
    try:
        return max(rate_relevance(question, texts, reranker))
    except (Unavailable, ConfigurationError):
        count_model_failure("reranker")
        return None


class RelevanceToQuestion:
    def __init__(self, question: str, reranker: Reranker, best: float | None) -> None:
        """`best`: log odds of the most relevant block of the evidence; None if the reranker failed."""
        self._question = question
        self._reranker = reranker
        self._best = best

    def is_near_best(self, sentence: str) -> bool | None:
        """Return whether a sentence is relevant enough to begin an answer; None if the reranker fails."""
        if self._best is None:
            return None
        relevance = rate_most_relevant(self._question, [sentence], self._reranker)
        return None if relevance is None else relevance >= self._best - MAX_GAP
