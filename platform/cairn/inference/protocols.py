"""Protocols of the models that Cairn uses, wherever they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batching:
    """Batch sizes that fill an encoder: at most `texts` texts and, padded to the longest, `tokens` tokens a
    call, with `at_once` concurrent calls. `extra` tokens are added to those that `count_tokens` counts."""

    texts: int
    tokens: int
    at_once: int
    extra: int = 0


class Embedder(Protocol):
    """Vectors are L2-normalised float32. Raises Unavailable when the model cannot be reached."""

    @property
    def model(self) -> str:
        """Identity of the vector space; vectors of two identities must not share an index."""

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens; the rest is truncated."""

    @property
    def batching(self) -> Batching: ...

    def embed_query(self, text: str) -> Vectors:
        """Shape (dimension,). Does not wait for document batches."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension). Threads may call it at the same time."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text in the model's own tokenizer, special tokens not counted."""


class Reranker(Protocol):
    """Reads the query and each text together, which is more accurate than comparing two vectors."""

    @property
    def name(self) -> str: ...

    @property
    def max_texts(self) -> int:
        """Texts that a search lets it score; more would take too long."""

    @property
    def languages(self) -> frozenset[str] | None:
        """Codes of the languages that it reads; None if unknown."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, higher is better. Thread-safe. Raises Unavailable if they are not
        complete in time, ConfigurationError if that will never change."""


class AnswerReader(Protocol):
    """Reads passages for the answer to a question."""

    @property
    def name(self) -> str: ...

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage has the answer."""


@dataclass(frozen=True, slots=True)
class Inference:
    """Relation of a premise and a hypothesis, as probabilities."""

    entailment: float
    contradiction: float


class NaturalLanguageInference(Protocol):
    @property
    def name(self) -> str: ...

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        """Classify each pair of premise and hypothesis."""
