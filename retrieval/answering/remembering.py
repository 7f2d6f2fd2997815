"""An embedder that does no text twice: neither for one question, nor for those that follow soon."""

import threading
from collections.abc import Mapping, MutableMapping, Sequence
from hashlib import blake2b
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from cachetools import LRUCache, TTLCache

from cairn.inference.protocols import Batching, Embedder, Vectors

MOST_WORDS: Final = 20_000  # vectors kept for each embedder: about 30 MB of 384 dimensions
LONGEST_WORD: Final = 32  # characters
MOST_TEXTS: Final = 30_000  # vectors of sentences and blocks kept for each embedder: about 50 MB
TEXTS_SECONDS: Final = 600.0


class Remembering:
    """Vectors are kept beyond the question: many ask about the same documents, and to embed what these say
    takes most of the time until the model is asked. Words stay, since the same come again with every
    question. Of other texts only a digest is kept, and not for long after the last answer that needed it:
    what is deleted must not stay in memory."""

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
            kept = _kept_of(self._embedder)
            self._documents.update(kept.known(new))
            unknown = [text for text in new if text not in self._documents]
            self._add(kept, unknown)
        vectors = [self._documents[text] for text in texts]
        return np.stack(vectors) if vectors else self._embedder.embed_documents(texts)

    def _add(self, kept: "_Kept", texts: Sequence[str]) -> None:
        if texts:
            found = dict(zip(texts, self._embedder.embed_documents(texts), strict=True))
            self._documents.update(found)
            kept.add(found)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)


class _Kept:
    """Threads share it."""

    def __init__(self) -> None:
        self._words: LRUCache[bytes, Vectors] = LRUCache(MOST_WORDS)
        self._texts: TTLCache[bytes, Vectors] = TTLCache(MOST_TEXTS, TEXTS_SECONDS)
        self._lock = threading.Lock()

    def known(self, texts: Sequence[str]) -> dict[str, Vectors]:
        with self._lock:
            found = {text: self._place(text).get(_digest(text)) for text in texts}
            known = {text: vector for text, vector in found.items() if vector is not None}
            self._put(known)  # so that what is in use does not end all at once
            return known

    def add(self, vectors: Mapping[str, Vectors]) -> None:
        """Copies: a row of a batch would keep the whole batch."""
        with self._lock:
            self._put({text: vector.copy() for text, vector in vectors.items()})

    def _put(self, vectors: Mapping[str, Vectors]) -> None:
        for text, vector in vectors.items():
            self._place(text)[_digest(text)] = vector

    def _place(self, text: str) -> MutableMapping[bytes, Vectors]:
        return self._words if _is_word(text) else self._texts


_kept: "WeakKeyDictionary[Embedder, _Kept]" = WeakKeyDictionary()
_keeping = threading.Lock()


def _kept_of(embedder: Embedder) -> _Kept:
    with _keeping:
        return _kept.setdefault(embedder, _Kept())


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _is_word(text: str) -> bool:
    return len(text) <= LONGEST_WORD and not any(character.isspace() for character in text)
