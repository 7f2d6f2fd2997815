"""Keyed word hashes: without its key, an index does not reveal which words a passage contains.

BM25 turns each word into a public 32-bit hash, so a dictionary would be enough to recover the words from an
index. A keyed hash of that number is stored instead. Only two words with the same public hash, or about one
pair in 4 billion, share a stored hash, so search results stay the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from retrieval.index.protocol import Point, Sparse

_HASH_BYTES: Final = 4  # the stores' indices are unsigned 32-bit numbers
_REMEMBERED: Final = 1 << 16


def apply_word_key(sparse: Sparse, key: bytes) -> Sparse:
    """Replace every hash by its keyed hash. An empty key leaves the vector as it is.

    Stores refuse a vector that names an index twice, so the weights of colliding words are added.
    """
    if not key:
        return sparse
    weights: dict[int, float] = {}
    for index, value in zip(sparse.indices, sparse.values, strict=True):
        hashed = _keyed_hash(index, key)
        weights[hashed] = weights.get(hashed, 0.0) + value
    return Sparse(tuple(weights), tuple(weights.values()))


def with_keyed_words(points: Sequence[Point], key: bytes) -> list[Point]:
    return [replace(point, sparse=apply_word_key(point.sparse, key)) for point in points]


@lru_cache(_REMEMBERED)
def _keyed_hash(index: int, key: bytes) -> int:
    digest = blake2b(index.to_bytes(_HASH_BYTES, "little"), key=key, digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "little")
