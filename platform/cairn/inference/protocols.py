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
