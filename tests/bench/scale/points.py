"""Points of generated documents, as ingestion makes them; the same number gives the same document.

Vectors: a common part, a topic, a document and noise of each chunk, in shares that give chunks about the
cosines that all-MiniLM-L6-v2 gives those of the handbook: 0.2 between any two, 0.7 to the nearest. Each part
has the handbook's spectrum: few directions hold most of the variance, which is what a graph (HNSW) lives on.

Words: made up, with frequencies after Zipf's law from the rank on where stop words end, and counted by the
same code as real text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final
from uuid import UUID

import numpy as np

from cairn.access.scope import EVERY_READER, Principal, Scope, group_token, user_token
from cairn.inference.protocols import Vectors
from retrieval.index.protocol import Point, Sparse
from retrieval.search.bm25 import AVERAGE_TERMS, document_sparse, query_sparse

DIMENSION: Final = 384
PER_DOCUMENT: Final = 50
BASES: Final = 50
GROUPS: Final = 200
GROUPS_OF_ASKER: Final = 20
NARROWED_EVERY: Final = 10  # a document that one group may read, not all readers of its knowledge base
VOCABULARY: Final = 200_000
STOP_WORDS: Final = 150  # ranks that no sparse vector has
TERMS_ASKED: Final = 5
_COMMON, _TOPIC, _DOCUMENT, _CHUNK = 0.17, 0.25, 0.25, 0.33  # shares of the variance
_ASKED: Final = 0.6  # of a question's variance, what it has of its chunk
_TOPICS: Final = 1_000
_SEED: Final = 1
_SYLLABLES: Final = [consonant + vowel for consonant in "bdfgklmnprtvz" for vowel in "aiou"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a stored chunk: its vector with noise, and some of its words."""

    dense: Vectors
    sparse: Sparse


@dataclass(frozen=True, slots=True)
class _Generated:
    """A document. `vectors`: PER_DOCUMENT x DIMENSION, of length 1. `words`: PER_DOCUMENT x AVERAGE_TERMS."""

    vectors: Vectors
    words: np.ndarray
    random: np.random.Generator


def points(number: int) -> list[Point]:
    """The chunks of one document. Documents take turns between the knowledge bases."""
    made = _generated(number)
    document, version, *ids = _uuids(made.random, 2 + PER_DOCUMENT)
    readers = readers_of(number)
    return [
        Point(
            id=chunk, dense=vector, sparse=document_sparse(" ".join(words)),
            knowledge_base=bases()[number % BASES], document=document, version=version, readers=readers,
            source_uri=f"generated/{number}", created_at=1_700_000_000.0 + number,
        )
        for chunk, vector, words in zip(ids, made.vectors, made.words, strict=True)
    ]  # fmt: skip


def readers_of(number: int) -> tuple[str, ...]:
    """Return the readers of a document."""
    if (number + number // BASES) % NARROWED_EVERY:  # so that it is one in so many in each knowledge base
        return (EVERY_READER,)
    return (group_token(_groups()[number // NARROWED_EVERY % GROUPS]),)


def questions(chunks: int, count: int) -> Iterator[Question]:
    """Each to another of the documents that `chunks` chunks are in, as long as there are enough."""
    random = np.random.default_rng((_SEED, chunks))
    documents = chunks // PER_DOCUMENT
    for number in random.choice(documents, count, replace=count > documents):
        made, ordinal = _generated(int(number)), random.integers(PER_DOCUMENT)
        dense = _part(random, 1)[0] * (1 - _ASKED) ** 0.5 + made.vectors[ordinal] * _ASKED**0.5
        words = random.choice(made.words[ordinal], TERMS_ASKED, replace=False)
        yield Question(_unit(dense), query_sparse(" ".join(words)))


def asker(readable: int) -> Scope:
    """A user in some groups who may read a number of knowledge bases, and manages none."""
    user, *_ = _uuids(np.random.default_rng((_SEED, 3)), 1)
    groups = _groups()[:: GROUPS // GROUPS_OF_ASKER]
    tokens = frozenset({EVERY_READER, user_token(user), *map(group_token, groups)})
    principal = Principal(user, "asker", is_admin=False, groups=frozenset(groups))
    return Scope(principal, readable=frozenset(bases()[:readable]), tokens=tokens)


@cache
def bases() -> list[UUID]:
    return _uuids(np.random.default_rng((_SEED, 1)), BASES)


@cache
def _groups() -> list[UUID]:
    return _uuids(np.random.default_rng((_SEED, 2)), GROUPS)


def _generated(number: int) -> _Generated:
    random = np.random.default_rng((_SEED, 0, number))
    common, topics = _centres()
    centre = common * _COMMON**0.5 + topics[random.integers(_TOPICS)] * _TOPIC**0.5
    centre = centre + _part(random, 1) * _DOCUMENT**0.5
    vectors = centre + _part(random, PER_DOCUMENT) * _CHUNK**0.5
    drawn = np.searchsorted(_cumulated(), random.random((PER_DOCUMENT, AVERAGE_TERMS)))
    return _Generated(_unit(vectors), _vocabulary()[drawn], random)


@cache
def _centres() -> tuple[Vectors, Vectors]:
    random = np.random.default_rng((_SEED, 4))
    return _part(random, 1), _part(random, _TOPICS)


def _part(random: np.random.Generator, count: int) -> Vectors:
    """Vectors of length 1 on average: count x DIMENSION."""
    return random.standard_normal((count, DIMENSION), dtype=np.float32) * _deviations()


@cache
def _deviations() -> Vectors:
    """Return the deviation of each direction.

    As measured in the handbook, 10 directions explain a third of the variance and 50 two thirds.
    """
    variances = (np.arange(1, DIMENSION + 1) + 5.0) ** -1.2
    return np.asarray(np.sqrt(variances / variances.sum()), np.float32)


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


@cache
def _cumulated() -> np.ndarray:
    shares = 1 / np.arange(STOP_WORDS + 1, STOP_WORDS + VOCABULARY + 1)
    cumulated = np.cumsum(shares / shares.sum())
    cumulated[-1] = 1.0  # which no number that is drawn reaches
    return cumulated


@cache
def _vocabulary() -> np.ndarray:
    """Return words for ranks: numbers whose digits are syllables, none of which a stemmer changes."""
    base, shortest = len(_SYLLABLES), 3
    return np.array(
        [
            "".join(_SYLLABLES[rank // base**place % base] for place in range(shortest))
            + ("" if rank < base**shortest else _SYLLABLES[rank // base**shortest])
            for rank in range(VOCABULARY)
        ],
        dtype=object,
    )


def _uuids(random: np.random.Generator, count: int) -> list[UUID]:
    raw = random.bytes(16 * count)
    return [UUID(bytes=raw[at : at + 16], version=4) for at in range(0, len(raw), 16)]
