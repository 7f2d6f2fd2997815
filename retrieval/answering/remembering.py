"""An embedder that does no text twice while one question is answered."""

from collections.abc import Sequence

import numpy as np

from cairn.inference.protocols import Batching, Embedder, Vectors


class Remembering:
    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._queries: dict[str, Vectors] = {}
        self._documents: dict[str, Vectors] = {}

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    @property
    def batching(self) -> Batching:
        return self._embedder.batching

    def embed_query(self, text: str) -> Vectors:
        if text not in self._queries:
            self._queries[text] = self._embedder.embed_query(text)
        return self._queries[text]

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._documents]
        if new:
            self._documents.update(zip(new, self._embedder.embed_documents(new), strict=True))
        vectors = [self._documents[text] for text in texts]
        return np.stack(vectors) if vectors else self._embedder.embed_documents(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)
