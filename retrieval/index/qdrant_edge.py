"""The vector index in this process: a Qdrant Edge shard in a folder of its own.

Edge holds the GIL in every call, so calls are kept short. `optimize()` is never called here: it stops
the whole process for seconds. See retrieval.index.edge_optimise.
"""

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeGuard
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from cairn.access.scope import Scope
from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Vectors
from retrieval.index import filters as conditions
from retrieval.index.filters import AnyOf, Conditions, TimeRange
from retrieval.index.hybrid_query import DENSE, SPARSE, Leg, query_hybrid
from retrieval.index.protocol import Candidate, Candidates, Filters, Page, Point, Sparse, StoredPoint

_Schema = edge.UuidIndexParams | edge.KeywordIndexParams | edge.FloatIndexParams

UPSERT_BATCH = 64  # points in one call: about 3 ms
ROOM = (
    64 << 20
)  # bytes left free on the disk: Edge writes to mapped files, where a full disk ends the process
_BLOCK = 512  # bytes, the unit of st_blocks: files of an index are sparse
FLUSH_AFTER = 4096  # points written: bounds what an unclean end leaves to be replayed to about a second


class EdgeIndex:
    """Safe to use from several threads. Only one process may have a folder open."""

    def __init__(self, folder: Path, shard: edge.EdgeShard) -> None:
        self._folder = folder
        self._shard = shard
        self._writing = threading.Lock()
        self._unflushed = 0
        self._closed = False

    @classmethod
    def create(cls, folder: Path, *, dimension: int) -> "EdgeIndex":
        """Raises Unavailable if the folder isn't empty."""
        if folder.exists() and any(folder.iterdir()):
            raise Unavailable(f"The folder for a new vector index is not empty: {folder}")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_room(folder)
        with _translate_errors(folder):
            shard = edge.EdgeShard.create(str(folder), _config(dimension))
            for field, schema in _payload_indexes():
                shard.update(edge.UpdateOperation.create_field_index(field, schema))
            shard.flush()
        return cls(folder, shard)

    @classmethod
    def open(cls, folder: Path, *, dimension: int) -> "EdgeIndex":
        """Raises Unavailable if the data is missing or damaged, ConfigurationError if it is in use."""
        if not any(folder.glob("segments/*/segment.json")):  # Edge would begin an empty index here
            raise Unavailable(f"The vector index {folder} has lost its data. Restore DATA_DIR from a backup.")
        with _translate_errors(folder):
            return cls(folder, edge.EdgeShard.load(str(folder), _config(dimension)))

    def upsert(self, points: Sequence[Point]) -> None:
        with self._writes():
            for start in range(0, len(points), UPSERT_BATCH):
                batch = [_encode_point(point) for point in points[start : start + UPSERT_BATCH]]
                self._update(edge.UpdateOperation.upsert_points(batch), points=len(batch))

    def delete_version(self, version: UUID) -> None:
        self._delete(conditions.of_version(version))

    def delete_document(self, document: UUID) -> None:
        self._delete(conditions.of_document(document))

    def _delete(self, named: AnyOf) -> None:
        with self._writes():
            self._update(edge.UpdateOperation.delete_points_by_filter(_all_of([named])))

    def set_fields(self, document: UUID, *, readers: Sequence[str], tags: Sequence[str]) -> None:
        found = _all_of([conditions.of_document(document)])
        fields = conditions.changeable(readers, tags)
        with self._writes():
            self._update(edge.UpdateOperation.set_payload_by_filter(found, fields))

    def query(
        self, dense: Vectors, sparse: Sparse, *, scope: Scope, filters: Filters, limit: int
    ) -> Candidates:
        if not scope or limit < 1:
            return Candidates()
        asked = _Asked(dense, sparse, scope, filters)

        def run(halves: Sequence[Leg]) -> list[list[Candidate]]:
            batch = edge.QueryBatchRequest([asked.request(half) for half in halves])
            with self._reads() as shard:
                found = shard.query_batch(batch)
            return [[_candidate(point) for point in points] for points in found]

        return query_hybrid(run, limit=limit, sparse=bool(sparse.indices))

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, Vectors]:
        with self._reads() as shard:
            found = shard.retrieve(list(ids), False, True)
        return {_id(point.id): _dense(point.vector) for point in found}

    def count(self, *, document: UUID | None = None, version: UUID | None = None) -> int:
        named = conditions.build_count_conditions(document, version)
        with self._reads() as shard:
            return shard.count(edge.CountRequest(exact=True, filter=_all_of(named)))

    def read_page(self, start: UUID | None, *, limit: int) -> Page:
        request = edge.ScrollRequest(offset=start, limit=limit, with_payload=True, with_vector=True)
        with self._reads() as shard:
            records, following = shard.scroll(request)
        return Page(
            [_decode_record(record) for record in records], None if following is None else _id(following)
        )

    def read_points(self, ids: Sequence[UUID]) -> dict[UUID, StoredPoint]:
        with self._reads() as shard:
            records = shard.retrieve(list(ids), True, True)
        return {_id(record.id): _decode_record(record) for record in records}

    def write_points(self, points: Sequence[StoredPoint]) -> None:
        """Not on disk before `finish_copy`: waiting for the disk after each batch would take long."""
        with self._writes(durable=False):
            for start in range(0, len(points), UPSERT_BATCH):
                batch = [_encode_stored_point(point) for point in points[start : start + UPSERT_BATCH]]
                self._update(edge.UpdateOperation.upsert_points(batch), points=len(batch))

    def delete_points(self, ids: Sequence[UUID]) -> None:
        with self._writes():
            self._update(edge.UpdateOperation.delete_points(list(ids)))

    def finish_copy(self) -> None:
        with self._writing:
            with self._reads() as shard:
                shard.flush()
                self._unflushed = 0
            self._sync_log()
            for folder in (self._folder, self._folder.parent):
                _sync(folder)

    def close(self) -> None:
        with self._writing:
            if self._closed:
                return
            self._closed = True
            with _translate_errors(self._folder):
                try:
                    self._shard.flush()
                finally:
                    self._shard.close()

    @contextmanager
    def _reads(self) -> Iterator[edge.EdgeShard]:
        if self._closed:
            raise Unavailable("The vector index has been closed.")
        with _translate_errors(self._folder):
            yield self._shard

    @contextmanager
    def _writes(self, *, durable: bool = True) -> Iterator[None]:
        """Flush at the end if `durable`, so that writes survive a power failure."""
        with self._writing:
            with self._reads() as shard:
                yield
                if self._unflushed >= FLUSH_AFTER:
                    shard.flush()
                    self._unflushed = 0
            if durable:
                self._sync_log()

    def _update(self, operation: edge.UpdateOperation, *, points: int = 1) -> None:
        _require_room(self._folder)
        self._shard.update(operation)
        self._unflushed += points

    def _sync_log(self) -> None:
        """An update is in the write-ahead log, but maybe not on the disk yet.

        `flush()` would write it there as well, and stop every thread for 20 to 300 ms; this stops none.
        """
        log = self._folder / "wal"
        try:
            for path in (*log.iterdir(), log):
                _sync(path)
        except OSError as error:
            raise Unavailable(f"The vector index {self._folder} couldn't be written: {error}") from error


def _require_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < ROOM:
        raise Unavailable(f"The disk of the vector index {folder} is full.")


def require_room_for_copy(folder: Path) -> None:
    """Raises Unavailable unless the disk can hold the index twice."""
    files = (path.stat() for path in folder.rglob("*") if path.is_file())
    needed = sum(found.st_blocks * _BLOCK for found in files) + ROOM
    if (free := shutil.disk_usage(folder).free) < needed:
        raise Unavailable(
            f"Rewriting the vector index needs {needed >> 20} MB of free disk, and {free >> 20} MB are free."
        )


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # a segment of the log that the store no longer needs
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translate_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:  # Edge raises nothing more special; anything else is a bug of ours
            raise
        raise _classify_error(error, folder) from error


def _classify_error(error: Exception, folder: Path) -> Exception:
    text = str(error)
    if "WouldBlock" in text:
        return ConfigurationError(f"The vector index {folder} is in use by another process.")
    if "incompatible" in text:
        return ConfigurationError(
            f"The vector index {folder} contains different vectors than configured: {text}"
        )
    return Unavailable(f"The vector index {folder} cannot be used, it may be damaged: {text}")


def _config(dimension: int) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )


def _payload_indexes() -> Iterator[tuple[str, _Schema]]:
    """Ids as UUIDs: checking a point against a list of them takes half as long as with keywords."""
    yield conditions.KNOWLEDGE_BASE, edge.UuidIndexParams(is_tenant=True)
    for field in conditions.UUID_FIELDS:
        yield field, edge.UuidIndexParams()
    for field in conditions.KEYWORD_FIELDS:
        yield field, edge.KeywordIndexParams()
    yield conditions.CREATED_AT, edge.FloatIndexParams()


def _encode_point(point: Point) -> edge.Point:
    vectors: dict[str, edge.NamedVector] = {DENSE: point.dense.tolist()}
    if point.sparse.indices:
        vectors[SPARSE] = _sparse(point.sparse)
    return edge.Point(point.id, vectors, conditions.payload(point))


def _sparse(sparse: Sparse) -> edge.SparseVector:
    return edge.SparseVector(list(sparse.indices), list(sparse.values))


def _decode_record(record: edge.Record) -> StoredPoint:
    vectors = record.vector
    assert isinstance(vectors, dict)
    dense, words = vectors[DENSE], vectors.get(SPARSE)
    sparse = Sparse(tuple(words.indices), tuple(words.values)) if _is_sparse(words) else None
    return StoredPoint(_id(record.id), _numbers(dense), sparse, dict(record.payload or {}))


def _is_sparse(vector: object) -> TypeGuard[edge.SparseVector]:
    return isinstance(vector, edge.SparseVector)


def _numbers(vector: object) -> tuple[float, ...]:
    assert isinstance(vector, list)
    return tuple(vector)


def _encode_stored_point(point: StoredPoint) -> edge.Point:
    vectors: dict[str, edge.NamedVector] = {DENSE: list(point.dense)}
    if point.sparse is not None:
        vectors[SPARSE] = _sparse(point.sparse)
    return edge.Point(point.id, vectors, point.payload)


def _candidate(point: edge.ScoredPoint) -> Candidate:
    return Candidate(_id(point.id), point.score)


def _id(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _dense(named: object) -> Vectors:
    assert isinstance(named, dict)
    return np.asarray(named[DENSE], np.float32)


class _Asked:
    """A query to the shard. Both legs carry the same filter."""

    def __init__(self, dense: Vectors, sparse: Sparse, scope: Scope, filters: Filters) -> None:
        self._queries = {
            DENSE: edge.Query.Nearest(dense.tolist(), using=DENSE),
            SPARSE: edge.Query.Nearest(_sparse(sparse), using=SPARSE),
        }
        allowed = _filter(conditions.build_permission_filter(scope))
        narrowing = [_condition(each) for each in conditions.narrowing(filters)]
        self._query_filter = edge.Filter(must=[allowed, *narrowing]) if narrowing else allowed
        # How rare a word is, is counted over what the asker may read: scores say nothing of the rest.
        self._params = {DENSE: None, SPARSE: edge.SearchParams(idf=edge.IdfParams(corpus=allowed))}

    def request(self, half: Leg) -> edge.QueryRequest:
        only = self._query_filter
        if half.among is not None:
            only = edge.Filter(must=[edge.HasIdCondition(set(half.among)), self._query_filter])
        return edge.QueryRequest(
            limit=half.limit,
            query=self._queries[half.vector],
            filter=only,
            params=self._params[half.vector],
        )


def _filter(required: Conditions) -> edge.Filter:
    return edge.Filter(
        must=[_condition(each) for each in required.every],
        should=[_condition(each) for each in required.some],
    )


def _all_of(named: Sequence[AnyOf]) -> edge.Filter:
    return edge.Filter(must=[_condition(each) for each in named])


def _condition(condition: AnyOf | TimeRange) -> edge.FieldCondition:
    if isinstance(condition, AnyOf):
        return edge.FieldCondition(condition.field, match=edge.MatchAny(list(condition.values)))
    between = edge.RangeFloat(gte=condition.start, lt=condition.end)
    return edge.FieldCondition(condition.field, range=between)
