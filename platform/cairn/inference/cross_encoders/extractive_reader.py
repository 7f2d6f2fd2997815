"""Extractive readers trained with questions that have no answer, as in SQuAD 2.0."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.inference.cross_encoders.classifier import sigmoid
from cairn.inference.cross_encoders.transformer import Logits, PairNetwork

MOST_TOKENS = 30  # of an answer
_PASSAGE = 1
_NEVER = np.float32(-1e9)


class SpanReader:
    """An AnswerReader: the best span of the passage against the first token, which means "no answer"."""

    def __init__(self, network: PairNetwork) -> None:
        self._network = network

    @property
    def name(self) -> str:
        return self._network.name

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability for each passage; the best window of a long one counts."""
        best = np.zeros(len(passages), np.float32)
        for read in self._network.read([(question, passage) for passage in passages], long=_PASSAGE):
            starts, ends = read.logits
            spans = best_spans(starts, ends, read.windows.second)
            nothing = starts[:, 0] + ends[:, 0]
            np.maximum.at(best, list(read.windows.pairs), sigmoid(spans - nothing))
        return [float(value) for value in best]


def best_spans(starts: Logits, ends: Logits, inside: NDArray[np.bool_]) -> Logits:
    """(windows,): the highest start + end of a span of at most MOST_TOKENS tokens that are all `inside`.

    A passage is one run of tokens, so that two ends inside it have nothing else between them.
    """
    starts, ends = np.where(inside, starts, _NEVER), np.where(inside, ends, _NEVER)
    best = np.full(len(starts), 2 * _NEVER, np.float32)
    for longer in range(min(MOST_TOKENS, starts.shape[1])):
        sums = starts[:, : starts.shape[1] - longer] + ends[:, longer:]
        best = np.maximum(best, sums.max(axis=1))
    return best
