"""Synchronise a generation with SQL, from scratch or after a pause."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from django.db.models import QuerySet

from cairn.access.services import reader_tokens
from cairn.inference.protocols import Embedder, Vectors
from cairn.library.models import Chunk, Document, DocumentVersion
from ingestion.failpoints import Fault, fault_point
from ingestion.indexing.points import embedding_text, points_of, tags_of
from ingestion.reindexing.diff import find_outdated, iterate_documents, obsolete
from ingestion.reindexing.lease import DocumentGone, GenerationLease
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexedVersion

CHUNK_BATCH_SIZE: Final = 32  # embedded and written per batch: about a second for a small encoder on a CPU
Vectorise = Callable[[Sequence[Chunk]], Vectors]
"""Vectors of shape (chunks, dimension)."""


def embed_with(embedder: Embedder) -> Vectorise:
    return lambda chunks: embedder.embed_documents([embedding_text(chunk) for chunk in chunks])


def copy_from(index: VectorIndex, otherwise: Vectorise) -> Vectorise:
    """Copy vectors from an index with the same model; embed those it lacks."""

    def copy_vectors(chunks: Sequence[Chunk]) -> Vectors:
        there = index.vectors([chunk.id for chunk in chunks])
        missing = [chunk for chunk in chunks if chunk.id not in there]
        if missing:
            there.update(zip((chunk.id for chunk in missing), otherwise(missing), strict=True))
        return np.stack([there[chunk.id] for chunk in chunks])

    return copy_vectors


class Synchronizer:
    """Writes differences between SQL and a generation's index.

    `make_way` is called before each batch of chunks, and may wait.
    """

    def __init__(
        self, lease: GenerationLease, index: VectorIndex, vectorise: Vectorise, make_way: Callable[[], None]
    ) -> None:
        self._lease = lease
        self._index = index
        self._vectorise = vectorise
        self._make_way = make_way

    def run_pass(self) -> int:
        """Process the differences once. Returns their number."""
        changes = 0
        for entry in list(obsolete(self._lease.generation)):
            self._lease.renew()
            self._index.delete_version(entry.version)
            entry.delete()
            changes += 1
        for document in iterate_documents(find_outdated(self._lease.generation)):
            self._sync_document(document)
            changes += 1
        return changes

    def _sync_document(self, document: Document) -> None:
        version = document.active_version
        assert version is not None
        entry = self._entry(version)
        try:
            if entry is None or entry.stamp is None:
                self._write_chunks(document, version, entry.written if entry else 0)
            else:
                self._write_fields(document, version)
        except DocumentGone:
            return  # the next pass sees what became of it
        # As of before its readers and tags were read: if they changed since, it is outdated again.
        self._entries(version).update(stamp=document.updated_at)

    def _write_chunks(self, document: Document, version: DocumentVersion, written: int) -> None:
        while chunks := list(version.chunks.order_by("ordinal")[written : written + CHUNK_BATCH_SIZE]):
            self._make_way()
            self._lease.renew()
            vectors = self._vectorise(chunks)
            with self._lease.writing(document, version):
                self._index.upsert(points_of(document, chunks, vectors))
            fault_point(Fault.REINDEX_AFTER_UPSERT)
            written += len(chunks)
            self._entries(version).update(written=written)

    def _write_fields(self, document: Document, version: DocumentVersion) -> None:
        with self._lease.writing(document, version):
            self._index.set_fields(document.id, readers=reader_tokens(document), tags=tags_of(document))

    def _entries(self, version: DocumentVersion) -> "QuerySet[IndexedVersion]":
        return IndexedVersion.objects.filter(generation=self._lease.generation, version=version.pk)

    def _entry(self, version: DocumentVersion) -> IndexedVersion | None:
        return self._entries(version).first()
