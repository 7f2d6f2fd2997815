"""Whether a sentence answers the question about as well as the best quote would."""

from typing import Final

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.metrics import count_model_failure
from retrieval.answering.answerability.signals import log_odds

MAX_GAP: Final = 2.0
"""Log odds. Of 21 answers of a 1.5B model to questions of `product` and `operations`, all right ones but one
began with a sentence that the reranker found as relevant as the best block, or more so."""


class RelevanceToQuestion:
    def __init__(self, question: str, reranker: Reranker, best: float) -> None:
        """`best`: log odds of the most relevant block of the evidence."""
        self._question = question
        self._reranker = reranker
        self._least = best - MAX_GAP

    def is_near_best(self, sentence: str) -> bool:
        """Return whether a sentence is relevant enough to begin an answer; True if the reranker fails."""
        try:
            (score,) = self._reranker.scores(self._question, [sentence])
        except (Unavailable, ConfigurationError):
            count_model_failure("reranker")
            return True
        return log_odds(score) >= self._least
