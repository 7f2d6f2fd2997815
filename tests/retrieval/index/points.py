"""Points and scopes for tests of the index."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4, uuid5

import numpy as np

from cairn.access.scope import EVERY_READER, Principal, Scope
from cairn.inference.protocols import Vectors
from retrieval.index.protocol import Candidates, Filters, Point, Sparse, VectorIndex

DIMENSION = 8
NO_FILTERS = Filters()
_NAMES = UUID("5a3f6f0e-6ad5-4f9c-9d2f-3f6f0c1b7a55")

WORD, OTHER_WORD = 11, 12
KB, OTHER_KB = uuid5(_NAMES, "kb"), uuid5(_NAMES, "other kb")
USER, GROUP = f"user:{uuid5(_NAMES, 'user')}", f"group:{uuid5(_NAMES, 'group')}"


def direction(*numbers: float) -> Vectors:
    """A unit vector that starts with these numbers."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[: len(numbers)] = numbers
    unit: Vectors = vector / np.linalg.norm(vector)
    return unit


EAST = direction(1.0)


def words(*terms: int) -> Sparse:
    return Sparse(terms, tuple(1.0 for _ in terms))


def point(**fields: Any) -> Point:
    """Return a point in KB, open to every reader, with the default dense direction and WORD as sparse
    vector."""
    given = {
        "id": uuid4(),
        "dense": EAST,
        "sparse": words(WORD),
        "knowledge_base": KB,
        "document": uuid4(),
        "version": uuid4(),
        "readers": (EVERY_READER,),
    }
    return Point(**{**given, **fields})


def scope(
    *, readable: Iterable[UUID] = (KB,), managed: Iterable[UUID] = (), tokens: Iterable[str] = ()
) -> Scope:
    principal = Principal(uuid5(_NAMES, "user"), "ann", is_admin=False)
    return Scope(principal, frozenset(readable), frozenset(managed), frozenset({EVERY_READER, *tokens}))


def ask(
    index: VectorIndex,
    asked: Scope | None = None,
    *,
    filters: Filters = NO_FILTERS,
    dense: Vectors = EAST,
    sparse: Sparse | None = None,
    limit: int = 10,
) -> Candidates:
    return index.query(
        dense,
        words(WORD) if sparse is None else sparse,
        scope=scope() if asked is None else asked,  # an empty one is false
        filters=filters,
        limit=limit,
    )


def found(index: VectorIndex, asked: Scope | None = None, *, filters: Filters = NO_FILTERS) -> set[UUID]:
    """Return what both legs find; they must agree, since both have the filter."""
    candidates = ask(index, asked, filters=filters)
    dense, sparse = ({each.id for each in half} for half in (candidates.dense, candidates.sparse))
    assert dense == sparse
    return dense
