"""Vectors in a format that is independent of the vector store."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, TypeVar
from uuid import UUID

import numpy as np
from django.conf import settings

from cairn.inference.protocols import Vectors
from cairn.library.models import Chunk, Document
from ingestion.indexing.points import embedding_text, points_of
from retrieval.index.backends import index_backend
from retrieval.index.generations import close_index, open_generation, open_indexes
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexGeneration
from web.backup.manifest import IDS, NUMBERS
from web.cli.api_client import Api, ApiProblem
from web.cli.server_connection import connect_with_temporary_key, url_of
from web.processes.data_dir_lock import DataDirInUse, DataDirLock, Holder

BATCH_SIZE: Final = 500
VECTORS_PATH: Final = "/api/v1/index/vectors"
_ID_BYTES: Final = 16
_T = TypeVar("_T")


class Source(Protocol):
    def of(self, generation: UUID, chunks: Sequence[UUID]) -> dict[UUID, Vectors]: ...


class LocalVectors:
    """Vectors from the index, opened by this process only."""

    def of(self, generation: UUID, chunks: Sequence[UUID]) -> dict[UUID, Vectors]:
        row = IndexGeneration.objects.filter(pk=generation).first()
        return open_indexes.of(row).vectors(chunks) if row else {}


class ServerVectors:
    """Vectors from the server process that has the index open."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def of(self, generation: UUID, chunks: Sequence[UUID]) -> dict[UUID, Vectors]:
        body = {"generation": str(generation), "chunks": [str(chunk) for chunk in chunks]}
        try:
            answer = self._api.post(VECTORS_PATH, body)
        except ApiProblem as problem:
            if problem.status_code == 404:  # it is no longer active
                return {}
            raise
        numbers = np.frombuffer(base64.b64decode(answer["vectors"]), "<f4").reshape(-1, answer["dimension"])
        return dict(zip((UUID(each) for each in answer["chunks"]), numbers, strict=True))


@contextmanager
def source() -> Iterator[Source]:
    """Yield the source of vectors, depending on whether a server is running."""
    if index_backend().shared:
        yield LocalVectors()
        return
    lock = DataDirLock(Path(settings.DATA_DIR))
    try:
        lock.acquire("manage.py backup")
    except DataDirInUse as error:
        with _connect_to_server(error.holder) as served:
            yield served
        return
    try:
        yield LocalVectors()
    finally:
        close_index()
        lock.release()


@contextmanager
def _connect_to_server(holder: Holder | None) -> Iterator[Source]:
    with connect_with_temporary_key(url_of(holder)) as api:
        yield ServerVectors(api)


def indexed_chunks(using: str) -> Iterator[UUID]:
    return Chunk.objects.using(using).active().order_by().values_list("id", flat=True).iterator(2000)


def write_vectors(
    folder: Path, generation: IndexGeneration, chunks: Iterable[UUID], given: Source
) -> tuple[int, int]:
    """Write vectors to files. Returns the numbers of vectors written and missing."""
    count = missing = 0
    with (folder / IDS).open("wb") as ids, (folder / NUMBERS).open("wb") as numbers:
        for batch in _batches(chunks):
            found = given.of(generation.id, batch)
            for chunk, vector in found.items():
                ids.write(chunk.bytes)
                numbers.write(np.ascontiguousarray(vector, "<f4").tobytes())
            count += len(found)
            missing += len(batch) - len(found)
    return count, missing


def _batches(things: Iterable[_T]) -> Iterator[tuple[_T, ...]]:
    rest = iter(things)
    while batch := tuple(islice(rest, BATCH_SIZE)):
        yield batch


class BackupVectors:
    """The vectors of a backup."""

    def __init__(self, folder: Path, dimension: int) -> None:
        ids = (folder / IDS).read_bytes()
        places = range(0, len(ids), _ID_BYTES)
        self._rows = {UUID(bytes=ids[at : at + _ID_BYTES]): row for row, at in enumerate(places)}
        shape = (len(self._rows), dimension)
        self._numbers = (
            np.memmap(folder / NUMBERS, "<f4", "r", shape=shape) if self._rows else np.empty(shape)
        )

    def of(self, chunks: Sequence[Chunk], generation: IndexGeneration) -> Vectors:
        """Return vectors of the chunks; missing ones are embedded."""
        missing = [chunk for chunk in chunks if chunk.id not in self._rows]
        fresh = dict(zip((chunk.id for chunk in missing), _embed_chunks(missing, generation), strict=True))
        return np.stack([fresh[c.id] if c.id in fresh else self._numbers[self._rows[c.id]] for c in chunks])


def _embed_chunks(chunks: Sequence[Chunk], generation: IndexGeneration) -> Sequence[Vectors]:
    if not chunks:
        return []
    model = open_generation(generation).embedder
    return list(model.embed_documents([embedding_text(chunk) for chunk in chunks]))


def put_back(folder: Path, generation: IndexGeneration, index: VectorIndex) -> Iterator[Document]:
    """Rebuild the index. Filter fields and words come from the tables, as for newly indexed documents."""
    backup = BackupVectors(folder, generation.dimension)
    documents = Document.objects.present().ready().select_related("active_version", "knowledge_base")
    for document in documents.iterator():
        assert document.active_version is not None
        chunks = document.active_version.chunks.order_by("ordinal").iterator(BATCH_SIZE)
        for batch in _batches(chunks):
            index.upsert(points_of(document, batch, backup.of(batch, generation)))
        yield document
