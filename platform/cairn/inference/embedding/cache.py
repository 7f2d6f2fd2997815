"""An embedder with a cache for a question and for those that follow soon."""

import threading
from collections.abc import Mapping, MutableMapping, Sequence
from hashlib import blake2b
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from cachetools import LRUCache, TTLCache

from cairn.inference.protocols import Batching, Embedder, Vectors

MAX_CACHED_WORDS: Final = 20_000  # vectors kept for each embedder: about 30 MB of 384 dimensions
MAX_WORD_CHARACTERS: Final = 32  # characters
MAX_CACHED_TEXTS: Final = 30_000  # vectors of sentences and blocks kept for each embedder: about 50 MB
TEXT_TTL_SECONDS: Final = 600.0


class CachingEmbedder:
    """Caches vectors beyond the question: many ask about the same documents, and embedding them takes most of
    the time until the model is asked. Words stay, since they recur in every question. Other texts are keyed
    by a digest and expire soon after the last answer that needed them: deleted text must not stay in memory.
    """

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
            cache = _cache_for(self._embedder)
            self._documents.update(cache.get_many(new))
            unknown = [text for text in new if text not in self._documents]
            self._add(cache, unknown)
        vectors = [self._documents[text] for text in texts]
        return np.stack(vectors) if vectors else self._embedder.embed_documents(texts)

    def _add(self, cache: "_VectorCache", texts: Sequence[str]) -> None:
        if texts:
            found = dict(zip(texts, self._embedder.embed_documents(texts), strict=True))
            self._documents.update(found)
            cache.add(found)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)


class _VectorCache:
    """Cache of one embedder, shared by all threads."""

    def __init__(self) -> None:
        self._words: LRUCache[bytes, Vectors] = LRUCache(MAX_CACHED_WORDS)
        self._texts: TTLCache[bytes, Vectors] = TTLCache(MAX_CACHED_TEXTS, TEXT_TTL_SECONDS)
        self._lock = threading.Lock()

    def get_many(self, texts: Sequence[str]) -> dict[str, Vectors]:
        with self._lock:
            found = {text: self._place(text).get(_digest(text)) for text in texts}
            known = {text: vector for text, vector in found.items() if vector is not None}
            self._put(known)  # so that texts in use do not all expire together
            return known

    def add(self, vectors: Mapping[str, Vectors]) -> None:
        """Store copies: a row of a batch would keep the whole batch in memory."""
        with self._lock:
            self._put({text: vector.copy() for text, vector in vectors.items()})

    def _put(self, vectors: Mapping[str, Vectors]) -> None:
        for text, vector in vectors.items():
            self._place(text)[_digest(text)] = vector

    def _place(self, text: str) -> MutableMapping[bytes, Vectors]:
        return self._words if _is_word(text) else self._texts


_caches: "WeakKeyDictionary[Embedder, _VectorCache]" = WeakKeyDictionary()
_caches_lock = threading.Lock()


def _cache_for(embedder: Embedder) -> _VectorCache:
    with _caches_lock:
        return _caches.setdefault(embedder, _VectorCache())


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _is_word(text: str) -> bool:
    return len(text) <= MAX_WORD_CHARACTERS and not any(character.isspace() for character in text)
