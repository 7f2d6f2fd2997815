"""Models that sort a pair of texts into classes."""

from collections.abc import Sequence

import numpy as np

from cairn.inference.cross_encoders.labels import entailment_labels
from cairn.inference.cross_encoders.transformer import Logits, PairNetwork
from cairn.inference.local_models import ModelFolder
from cairn.inference.protocols import Inference

_FIRST, _SECOND = 0, 1


class EntailmentModel:
    """NaturalLanguageInference. Of a long premise the best window for each class counts."""

    def __init__(self, folder: ModelFolder, network: PairNetwork) -> None:
        labels = None if network.answers_with_spans else entailment_labels(network.labels)
        if labels is None:
            raise folder.build_error(f"none of its labels is entailment, but {', '.join(network.labels)}")
        self._labels = labels
        self._network = network

    @property
    def name(self) -> str:
        return self._network.name

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        best = _best(self._network, pairs, long=_FIRST)
        against = self._labels.contradiction
        return [
            Inference(float(row[self._labels.entailment]), 0.0 if against is None else float(row[against]))
            for row in best
        ]


class InferenceReader:
    """An AnswerReader by an NLI model: the passage is the premise, the question the hypothesis.

    A passage that contradicts what a question supposes answers it as well: "May it be paid out?".
    """

    def __init__(self, model: EntailmentModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        found = self._model.infer([(passage, question) for passage in passages])
        return [min(1.0, max(each.entailment, each.contradiction)) for each in found]


class PairReader:
    """An AnswerReader by a cross-encoder of question and passage: one class, or the second of two."""

    def __init__(self, folder: ModelFolder, network: PairNetwork) -> None:
        if len(network.labels) > 2:
            raise folder.build_error(f"its labels do not tell an answer: {', '.join(network.labels)}")
        self._network = network

    @property
    def name(self) -> str:
        return self._network.name

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        best = _best(self._network, [(question, passage) for passage in passages], long=_SECOND)
        return [float(row[-1]) for row in best]


def _best(network: PairNetwork, pairs: Sequence[tuple[str, str]], *, long: int) -> Logits:
    """(pairs, labels): for each class the highest probability in any window."""
    best = np.zeros((len(pairs), len(network.labels)), np.float32)
    for read in network.read(pairs, long=long):
        np.maximum.at(best, list(read.windows.pairs), probabilities(read.logits[0]))
    return best


def probabilities(logits: Logits) -> Logits:
    """(rows, labels). One label is independent, several exclude each other."""
    if logits.shape[1] == 1:
        return np.asarray(sigmoid(logits), np.float32)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def sigmoid(values: Logits) -> Logits:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)), np.float32)
