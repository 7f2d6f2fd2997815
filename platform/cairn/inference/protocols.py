"""What Cairn asks of a model, whoever runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batching:
    """What fills an encoder: calls of at most `texts` texts and, padded to the longest, `tokens` tokens,
    `at_once` of them together. `extra` tokens come to those that `count_tokens` counts in a text."""

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
        """Tokens of one text that count; the rest would be cut off."""

    @property
    def batching(self) -> Batching: ...

    def embed_query(self, text: str) -> Vectors:
        """Shape (dimension,). Does not wait for document batches."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension). Threads may call it at the same time."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text in the model's own tokenizer, special tokens not counted."""


class Reranker(Protocol):
    """Reads the query and each text together, which tells more than the nearness of two vectors."""

    @property
    def name(self) -> str: ...

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One for each text, higher is better. Threads may call it at the same time.

        Raises Unavailable when not all of them can be had in time, ConfigurationError when never.
        """


class AnswerReader(Protocol):
    """Reads passages for the answer to a question."""

    @property
    def name(self) -> str: ...

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        """How sure it is, from 0 to 1, that each passage holds the answer."""


@dataclass(frozen=True, slots=True)
class Inference:
    """What a premise says of a hypothesis; probabilities from 0 to 1."""

    entailment: float
    contradiction: float


class NaturalLanguageInference(Protocol):
    @property
    def name(self) -> str: ...

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        """One for each pair of premise and hypothesis."""
