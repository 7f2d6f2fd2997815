"""An embedding model in this process."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.tokenization import Batch, Tokens
from cairn.inference.protocols import Batching, Vectors


class Encoder(Protocol):
    """Runs the network. The two methods do not wait for each other; threads may share both.

    Busiest with `at_once` batches of at most `batch_texts` texts and `batch_tokens` tokens.
    """

    dimension: int
    batch_tokens: int
    batch_texts: int

    @property
    def at_once(self) -> int: ...

    def encode(self, batch: Batch) -> Vectors: ...

    def encode_all(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Vectors]]:
        """Encode batches, in any order."""


class LocalEmbedder:
    def __init__(self, folder: EncoderFolder, encoder: Encoder) -> None:
        self._folder = folder
        self._encoder = encoder
        self._tokens = Tokens(folder.tokenizer_file, max_sequence=folder.max_sequence)
        encoder.encode(self._tokens.batch("Hello"))  # the first inference, before threads share the model

    @property
    def model(self) -> str:
        return self._folder.identity

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    @property
    def max_tokens(self) -> int:
        return self._tokens.max_tokens

    @cached_property
    def batching(self) -> Batching:
        encoder, prompt = self._encoder, self._tokens.count([self._folder.document_prompt])[0]
        extra = self._tokens.special_tokens + prompt
        return Batching(encoder.batch_texts, encoder.batch_tokens, encoder.at_once, extra)

    def embed_query(self, text: str) -> Vectors:
        batch = self._tokens.batch(self._folder.query_prompt + text)
        vector: Vectors = normalize_vectors(self._encoder.encode(batch))[0]
        return vector

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        prompt, encoder = self._folder.document_prompt, self._encoder
        vectors = np.empty((len(texts), self.dimension), np.float32)
        batches = self._tokens.batches(
            [prompt + text for text in texts], budget=encoder.batch_tokens, most=encoder.batch_texts
        )
        for batch, found in encoder.encode_all(batches):
            vectors[batch.rows] = found
        return normalize_vectors(vectors)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._tokens.count(texts)


def normalize_vectors(vectors: Vectors) -> Vectors:
    """Scale rows to length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
