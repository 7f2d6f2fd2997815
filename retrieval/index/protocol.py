"""The vector index as the rest of Cairn sees it: ids, vectors and filter fields, never text.

`retrieval.index.backends` chooses the implementation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cairn.access.scope import Scope
from cairn.inference.protocols import Vectors


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: term ids and their weights."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk in the index. `readers` are the access tokens of `cairn.access.scope`."""

    id: UUID
    dense: Vectors
    sparse: Sparse
    knowledge_base: UUID
    document: UUID
    version: UUID
    readers: tuple[str, ...]
    source_uri: str = ""
    tags: tuple[str, ...] = ()
    created_at: float = 0.0  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point exactly as it is stored, for copying it to another store."""

    id: UUID
    dense: tuple[float, ...]
    sparse: Sparse | None
    payload: dict[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """`following` is where the next page starts; None on the last page."""

    points: list[StoredPoint]
    following: UUID | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a search; None means unfiltered."""

    source_uri: str | None = None
    tags: tuple[str, ...] | None = None  # any of them
    created_after: float | None = None
    created_before: float | None = None
    document_ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point that the dense or the sparse search found. A larger score is nearer: cosine, or BM25."""

    id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Results of the dense and the sparse search, each best first."""

    dense: list[Candidate] = field(default_factory=list)
    sparse: list[Candidate] = field(default_factory=list)


class VectorIndex(Protocol):
    """Every read takes a Scope. Raises Unavailable when the store cannot be reached.

    Writes are durable when the call returns, and safe to repeat.
    """

    def upsert(self, points: Sequence[Point]) -> None: ...

    def delete_version(self, version: UUID) -> None: ...

    def delete_document(self, document: UUID) -> None: ...

    def set_fields(self, document: UUID, *, readers: Sequence[str], tags: Sequence[str]) -> None:
        """Replaces these filter fields on all points of the document."""

    def query(
        self, dense: Vectors, sparse: Sparse, *, scope: Scope, filters: Filters, limit: int
    ) -> Candidates:
        """The best `limit` of each half, both in one call, each with the scope's filter.

        `dense` also has what only the sparse half found, with its cosine.
        """

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, Vectors]:
        """The dense vectors of those points that are there."""

    def count(self, *, document: UUID | None = None, version: UUID | None = None) -> int:
        """Points of a document, of a version, or all; for receipts and checks, not for users."""

    def close(self) -> None: ...


class VectorStore(VectorIndex, Protocol):
    """An index whose points can be copied to another, such as a folder of Qdrant Edge."""

    def read_page(self, start: UUID | None, *, limit: int) -> Page:
        """Points in the order of their ids."""

    def read_points(self, ids: Sequence[UUID]) -> dict[UUID, StoredPoint]:
        """Return those points that exist."""

    def write_points(self, points: Sequence[StoredPoint]) -> None: ...

    def delete_points(self, ids: Sequence[UUID]) -> None: ...

    def finish_copy(self) -> None:
        """Wait until everything written is on disk and can be searched at the usual speed."""
