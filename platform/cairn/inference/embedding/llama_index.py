"""LlamaIndex embeddings as embedders, and embedders as LlamaIndex embeddings."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import PrivateAttr

from cairn.errors import Unavailable
from cairn.inference.embedding.local import normalize_vectors
from cairn.inference.protocols import Batching, Embedder, Vectors
from cairn.inference.token_estimate import estimate_tokens
from cairn.settings.dotted_paths import create_dotted

_SETTING: Final = "EMBEDDING_MODEL"
_ASSUMED_MAX_TOKENS: Final = 512
_MAX_IDENTITY_CHARACTERS: Final = 200
_MAX_BATCH_TEXTS: Final = 2048  # LlamaIndex allows no more


def open_llama_index_embedding(dotted: str) -> "LlamaIndexEmbedder":
    """Open the embedding whose class or factory function has this dotted path."""
    embedding = create_dotted(_SETTING, dotted, BaseEmbedding)  # type: ignore[type-abstract]  # a base class
    return LlamaIndexEmbedder(embedding, dotted=dotted)


class LlamaIndexEmbedder:
    """An Embedder on any LlamaIndex embedding. Its tokenizer is unknown, so tokens are overestimated.

    One thread uses the embedding at a time, as not all of them are thread-safe. Queries come before the next
    batch of documents.
    """

    def __init__(self, embedding: BaseEmbedding, *, dotted: str) -> None:
        self._embedding = embedding
        self._dotted = dotted
        self._turn = _Turn()
        self.dimension = len(self.embed_query("dimension"))

    @property
    def model(self) -> str:
        """Path and model name: a class may serve several models."""
        return f"{self._dotted}:{self._embedding.model_name}"[:_MAX_IDENTITY_CHARACTERS]

    @property
    def max_tokens(self) -> int:
        """The embedding's own `max_length`, which those of Hugging Face have, or what most models accept."""
        return int(getattr(self._embedding, "max_length", None) or _ASSUMED_MAX_TOKENS)

    @property
    def batching(self) -> Batching:
        texts = self._embedding.embed_batch_size
        return Batching(texts=texts, tokens=texts * self.max_tokens, at_once=1)

    def embed_query(self, text: str) -> Vectors:
        with self._turn.query():
            vectors = self._vectors(lambda: [self._embedding.get_query_embedding(_sendable(text))], 1)
        vector: Vectors = vectors[0]
        return vector

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        size = self._embedding.embed_batch_size
        batches = [list(map(_sendable, texts[start : start + size])) for start in range(0, len(texts), size)]
        return np.concatenate([self._embed_batch(batch) for batch in batches])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [estimate_tokens(text) for text in texts]

    def _embed_batch(self, texts: list[str]) -> Vectors:
        with self._turn.documents():
            return self._vectors(lambda: self._embedding.get_text_embedding_batch(texts), len(texts))

    def _vectors(self, embed: Callable[[], list[list[float]]], count: int) -> Vectors:
        try:
            vectors = np.array(embed(), np.float32)
        except Exception as error:  # code of others may raise anything
            name = type(error).__name__  # its text may contain keys and addresses
            raise Unavailable(f"The embedding model {self._dotted} failed ({name}).") from error
        if vectors.ndim != 2 or len(vectors) != count or not vectors.size or not np.isfinite(vectors).all():
            raise Unavailable(f"The embedding model {self._dotted} did not return a vector for each text")
        return normalize_vectors(vectors)


class CairnEmbedding(BaseEmbedding):
    """Cairn's embedder for LlamaIndex programs: `CairnEmbedding(embedder())`."""

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder: Embedder, **options: Any) -> None:
        options.setdefault("model_name", embedder.model)
        options.setdefault("embed_batch_size", min(embedder.batching.texts, _MAX_BATCH_TEXTS))
        super().__init__(**options)
        self._embedder = embedder

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._embedder.embed_query(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embedder.embed_documents(texts).tolist()
        return vectors

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class _Turn:
    """A lock that prefers queries to documents, which take it in the order in which they asked for it.

    With a plain lock, a long document would keep others waiting: it asks again at once after each batch.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_taken = False
        self._waiting_queries = 0
        self._next_ticket = 0
        self._served_ticket = 0

    @contextmanager
    def query(self) -> Iterator[None]:
        with self._changed:
            self._waiting_queries += 1
            self._changed.wait_for(lambda: not self._is_taken)
            self._waiting_queries -= 1
            self._is_taken = True
        with self._release_on_exit():
            yield

    @contextmanager
    def documents(self) -> Iterator[None]:
        with self._changed:
            ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
            self._changed.wait_for(
                lambda: not self._is_taken and not self._waiting_queries and ticket == self._served_ticket
            )
            self._served_ticket += 1
            self._is_taken = True
        with self._release_on_exit():
            yield

    @contextmanager
    def _release_on_exit(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()


def _sendable(text: str) -> str:
    """Return the text, or a dash for an empty one: some services refuse those."""
    return text.strip() or "-"
