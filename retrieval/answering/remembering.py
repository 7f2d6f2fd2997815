"""An embedder that does no text twice while one question is answered, and no word twice for many."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from cairn.inference.protocols import Batching, Embedder, Vectors

MOST_WORDS: Final = 20_000  # vectors kept for each embedder: about 30 MB of 384 dimensions
LONGEST_WORD: Final = 32  # characters


class Remembering:
    """Single words are kept beyond the question: the same come again with every one. Other texts are not,
    since what is deleted must not stay in memory."""

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
            words = _words_of(self._embedder)
            self._documents.update(words.known(new))
            unknown = [text for text in new if text not in self._documents]
            self._add(words, unknown)
        vectors = [self._documents[text] for text in texts]
        return np.stack(vectors) if vectors else self._embedder.embed_documents(texts)

    def _add(self, words: "_Words", texts: Sequence[str]) -> None:
        if texts:
            found = dict(zip(texts, self._embedder.embed_documents(texts), strict=True))
            self._documents.update(found)
            words.add(found)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)


class _Words:
    """The last used ones. Threads share it."""

    def __init__(self) -> None:
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, texts: Iterable[str]) -> dict[str, Vectors]:
        with self._lock:
            found = {text: self._vectors[text] for text in texts if text in self._vectors}
            for text in found:
                self._vectors.move_to_end(text)
        return found

    def add(self, vectors: Mapping[str, Vectors]) -> None:
        """Copies: a row of a batch would keep the whole batch."""
        words = {text: vector.copy() for text, vector in vectors.items() if _is_word(text)}
        with self._lock:
            self._vectors.update(words)
            while len(self._vectors) > MOST_WORDS:
                self._vectors.popitem(last=False)


_kept: "WeakKeyDictionary[Embedder, _Words]" = WeakKeyDictionary()
_keeping = threading.Lock()


def _words_of(embedder: Embedder) -> _Words:
    with _keeping:
        return _kept.setdefault(embedder, _Words())


def _is_word(text: str) -> bool:
    return len(text) <= LONGEST_WORD and not any(character.isspace() for character in text)
