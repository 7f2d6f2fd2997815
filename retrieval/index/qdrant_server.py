"""The vector index on a Qdrant server or cluster."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeGuard
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from cairn.access.scope import Scope
from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Vectors
from retrieval.index import filters as conditions
from retrieval.index.filters import AnyOf, Conditions, TimeRange
from retrieval.index.hybrid_query import DENSE, SPARSE, Leg, query_hybrid
from retrieval.index.protocol import Candidate, Candidates, Filters, Page, Point, Sparse, StoredPoint

INDEXED_WITHIN: Final = 20.0  # seconds that a finished copy waits for the server to index it
_LOOK_SECONDS: Final = 0.2
UPSERT_BATCH = 256  # points in one request: below the server's 32 MB with vectors of 4,096 numbers


@dataclass(frozen=True, slots=True)
class Spread:
    """Distribution over a cluster: `replicas` of each passage, of which `written` must confirm a write.
    `shards` None: one per server."""

    replicas: int = 1
    written: int = 1
    shards: int | None = None


ONE_SERVER: Final = Spread()


class ServerIndex:
    """A collection on the server. The client may be shared; `close` closes it."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._closed = False

    @classmethod
    def create(
        cls, client: QdrantClient, collection: str, *, dimension: int, spread: Spread = ONE_SERVER
    ) -> "ServerIndex":
        """Raises Unavailable if there is such a collection."""
        with translate_errors():
            if client.collection_exists(collection):
                raise Unavailable(f"The Qdrant server already has a collection {collection}.")
            client.create_collection(
                collection,
                vectors_config={DENSE: models.VectorParams(size=dimension, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                shard_number=spread.shards,
                replication_factor=spread.replicas,
                write_consistency_factor=spread.written,
            )
            for field, schema in _payload_indexes():
                client.create_payload_index(collection, field, schema, wait=True)
        return cls(client, collection)

    @classmethod
    def open(cls, client: QdrantClient, collection: str, *, dimension: int) -> "ServerIndex":
        """Raises Unavailable if there is no such collection, ConfigurationError if it has other vectors."""
        with translate_errors():
            if not client.collection_exists(collection):
                raise Unavailable(
                    f"The Qdrant server has no collection {collection}. Is QDRANT_URL the right server?"
                )
            vectors = client.get_collection(collection).config.params.vectors
        found = vectors[DENSE].size if isinstance(vectors, dict) and DENSE in vectors else None
        if found != dimension:
            raise ConfigurationError(
                f"The Qdrant collection {collection} holds vectors of {found} numbers, not {dimension}."
            )
        return cls(client, collection)

    @staticmethod
    def remove(client: QdrantClient, collection: str) -> None:
        with translate_errors():
            client.delete_collection(collection)

    def upsert(self, points: Sequence[Point]) -> None:
        with self._open() as client:
            for start in range(0, len(points), UPSERT_BATCH):
                batch = [_encode_point(point) for point in points[start : start + UPSERT_BATCH]]
                client.upsert(self._collection, batch, wait=True)

    def delete_version(self, version: UUID) -> None:
        self._delete(conditions.of_version(version))

    def delete_document(self, document: UUID) -> None:
        self._delete(conditions.of_document(document))

    def _delete(self, named: AnyOf) -> None:
        with self._open() as client:
            client.delete(self._collection, models.FilterSelector(filter=_all_of([named])), wait=True)

    def set_fields(self, document: UUID, *, readers: Sequence[str], tags: Sequence[str]) -> None:
        found = _all_of([conditions.of_document(document)])
        fields = conditions.changeable(readers, tags)
        with self._open() as client:
            client.set_payload(self._collection, fields, points=found, wait=True)

    def query(
        self, dense: Vectors, sparse: Sparse, *, scope: Scope, filters: Filters, limit: int
    ) -> Candidates:
        if not scope or limit < 1:
            return Candidates()
        asked = _Asked(dense, sparse, scope, filters)

        def run(halves: Sequence[Leg]) -> list[list[Candidate]]:
            requests = [asked.request(half) for half in halves]
            with self._open() as client:
                found = client.query_batch_points(self._collection, requests)
            return [[_candidate(point) for point in response.points] for response in found]

        return query_hybrid(run, limit=limit, sparse=bool(sparse.indices))

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, Vectors]:
        with self._open() as client:
            found = client.retrieve(
                self._collection, [str(each) for each in ids], with_payload=False, with_vectors=[DENSE]
            )
        return {UUID(str(point.id)): _dense(point.vector) for point in found}

    def count(self, *, document: UUID | None = None, version: UUID | None = None) -> int:
        named = conditions.build_count_conditions(document, version)
        with self._open() as client:
            return client.count(self._collection, _all_of(named), exact=True).count

    def read_page(self, start: UUID | None, *, limit: int) -> Page:
        with self._open() as client:
            records, following = client.scroll(
                self._collection,
                limit=limit,
                offset=None if start is None else str(start),
                with_payload=True,
                with_vectors=True,
            )
        return Page(
            [_decode_record(record) for record in records],
            None if following is None else UUID(str(following)),
        )

    def read_points(self, ids: Sequence[UUID]) -> dict[UUID, StoredPoint]:
        with self._open() as client:
            records = client.retrieve(
                self._collection, [str(each) for each in ids], with_payload=True, with_vectors=True
            )
        return {UUID(str(record.id)): _decode_record(record) for record in records}

    def write_points(self, points: Sequence[StoredPoint]) -> None:
        with self._open() as client:
            for start in range(0, len(points), UPSERT_BATCH):
                batch = [_encode_stored_point(point) for point in points[start : start + UPSERT_BATCH]]
                client.upsert(self._collection, batch, wait=True)

    def delete_points(self, ids: Sequence[UUID]) -> None:
        selected = models.PointIdsList(points=[str(each) for each in ids])
        with self._open() as client:
            client.delete(self._collection, selected, wait=True)

    def finish_copy(self) -> None:
        give_up = time.monotonic() + INDEXED_WITHIN
        with self._open() as client:
            while client.get_collection(self._collection).status != models.CollectionStatus.GREEN:
                if time.monotonic() > give_up:  # it answers correctly in any case, only slower
                    return
                time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._client.close()

    @contextmanager
    def _open(self) -> Iterator[QdrantClient]:
        if self._closed:
            raise Unavailable("The vector index has been closed.")
        with translate_errors():
            yield self._client


@contextmanager
def translate_errors() -> Iterator[None]:
    """Map errors of a server that is unreachable, starting or overloaded. Anything else is a bug."""
    try:
        yield
    except (ResponseHandlingException, ResourceExhaustedResponse) as error:
        raise Unavailable("The Qdrant server isn't responding.") from error
    except UnexpectedResponse as error:
        match error.status_code:
            case 401 | 403:
                raise ConfigurationError("The Qdrant server does not accept QDRANT_API_KEY.") from error
            case 404:
                raise Unavailable("The Qdrant server has lost the collection.") from error
            case int(status) if status == 429 or status >= 500:
                raise Unavailable(f"The Qdrant server returned status {status}.") from error
        raise


def _payload_indexes() -> Iterator[tuple[str, models.PayloadSchemaType | models.UuidIndexParams]]:
    yield (
        conditions.KNOWLEDGE_BASE,
        models.UuidIndexParams(type=models.UuidIndexType.UUID, is_tenant=True),
    )
    for field in conditions.UUID_FIELDS:
        yield field, models.PayloadSchemaType.UUID
    for field in conditions.KEYWORD_FIELDS:
        yield field, models.PayloadSchemaType.KEYWORD
    yield conditions.CREATED_AT, models.PayloadSchemaType.FLOAT


def _encode_point(point: Point) -> models.PointStruct:
    vectors: dict[str, list[float] | models.SparseVector] = {DENSE: point.dense.tolist()}
    if point.sparse.indices:
        vectors[SPARSE] = _sparse(point.sparse)
    return models.PointStruct(id=str(point.id), vector=vectors, payload=conditions.payload(point))


def _sparse(sparse: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=list(sparse.indices), values=list(sparse.values))


def _decode_record(record: models.Record) -> StoredPoint:
    vectors = record.vector
    assert isinstance(vectors, dict)
    dense, found = vectors[DENSE], vectors.get(SPARSE)
    assert isinstance(dense, list)
    sparse = Sparse(tuple(found.indices), tuple(found.values)) if _is_sparse(found) else None
    return StoredPoint(UUID(str(record.id)), tuple(dense), sparse, dict(record.payload or {}))  # type: ignore[arg-type]


def _is_sparse(found: object) -> TypeGuard[models.SparseVector]:
    return isinstance(found, models.SparseVector)


def _encode_stored_point(point: StoredPoint) -> models.PointStruct:
    vectors: dict[str, list[float] | models.SparseVector] = {DENSE: list(point.dense)}
    if point.sparse is not None:
        vectors[SPARSE] = _sparse(point.sparse)
    return models.PointStruct(id=str(point.id), vector=vectors, payload=point.payload)


def _candidate(point: models.ScoredPoint) -> Candidate:
    return Candidate(UUID(str(point.id)), point.score)


def _dense(named: object) -> Vectors:
    assert isinstance(named, dict)
    return np.asarray(named[DENSE], np.float32)


class _Asked:
    """A query to the server. Both legs carry the same filter."""

    def __init__(self, dense: Vectors, sparse: Sparse, scope: Scope, filters: Filters) -> None:
        self._queries = {
            DENSE: models.NearestQuery(nearest=dense.tolist()),
            SPARSE: models.NearestQuery(nearest=_sparse(sparse)),
        }
        allowed = conditions.build_permission_filter(scope)
        self._query_filter = _filter(conditions.narrow_conditions(allowed, filters))
        # How rare a word is, is counted over what the asker may read: scores say nothing of the rest.
        corpus = models.IdfCorpusParams(corpus=_filter(allowed))
        self._params = {DENSE: None, SPARSE: models.SearchParams(idf=corpus)}

    def request(self, half: Leg) -> models.QueryRequest:
        only = self._query_filter
        if half.among is not None:
            ids = models.HasIdCondition(has_id=[str(each) for each in half.among])
            only = models.Filter(must=[ids, self._query_filter])
        return models.QueryRequest(
            query=self._queries[half.vector],
            using=half.vector,
            filter=only,
            params=self._params[half.vector],
            limit=half.limit,
        )


def _filter(required: Conditions) -> models.Filter:
    return models.Filter(
        must=[_condition(each) for each in required.every],
        should=[_condition(each) for each in required.some],
    )


def _all_of(named: Sequence[AnyOf]) -> models.Filter:
    return models.Filter(must=[_condition(each) for each in named])


def _condition(condition: AnyOf | TimeRange) -> models.FieldCondition:
    if isinstance(condition, AnyOf):
        match = models.MatchAny(any=list(condition.values))
        return models.FieldCondition(key=condition.field, match=match)
    between = models.Range(gte=condition.start, lt=condition.end)
    return models.FieldCondition(key=condition.field, range=between)
