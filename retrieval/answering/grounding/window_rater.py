"""Scores by the reranker: is a window of the evidence about a sentence or question?"""

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.metrics import count_model_failure
from retrieval.answering.grounding.reranker_languages import is_foreign
from retrieval.answering.grounding.windows import Window


class WindowRater:
    """Asks the reranker once for each pair. After a failure, no further sentence waits for it."""

    def __init__(self, reranker: Reranker | None) -> None:
        self._reranker = reranker
        self._scores: dict[tuple[str, str], float] = {}

    @property
    def is_available(self) -> bool:
        return self._reranker is not None

    def rate(self, sentence: str, window: Window) -> float | None:
        """Return a score from 0 to 1; None without a reranker that answers and reads the passage."""
        pair = sentence, f"{window.passage.heading}\n{window.quote}"
        if pair not in self._scores:
            if self._reranker is None or is_foreign(self._reranker, window.hit.text):
                return None
            try:
                (self._scores[pair],) = self._reranker.scores(sentence, [pair[1]])
            except (Unavailable, ConfigurationError):
                count_model_failure("reranker")
                self._reranker = None
                return None
        return self._scores[pair]
