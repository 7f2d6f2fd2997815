"""Bringing a generation up to what SQL says: from nothing, or after it lay aside for a while."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from django.db.models import QuerySet

from cairn.access.services import reader_tokens
from cairn.inference.protocols import Embedder, Vectors
from cairn.library.models import Chunk, Document, DocumentVersion
from ingestion.faults import Fault, fault_point
from ingestion.points import embedding_text, points_of, tags_of
from ingestion.reindexing.contents import one_by_one, outdated, unwanted
from ingestion.reindexing.lease import GenerationLease, Gone
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexedVersion

CHUNKS: Final = 32  # embedded and written at once: about a second of a small encoder on a CPU
Vectorise = Callable[[Sequence[Chunk]], Vectors]
"""Vectors of shape (chunks, dimension)."""


def embedded_by(embedder: Embedder) -> Vectorise:
    return lambda chunks: embedder.embed_documents([embedding_text(chunk) for chunk in chunks])


def copied_from(index: VectorIndex, otherwise: Vectorise) -> Vectorise:
    """From an index with the same model's vectors; what it lacks is embedded."""

    def copied(chunks: Sequence[Chunk]) -> Vectors:
        there = index.vectors([chunk.id for chunk in chunks])
        missing = [chunk for chunk in chunks if chunk.id not in there]
        if missing:
            there.update(zip((chunk.id for chunk in missing), otherwise(missing), strict=True))
        return np.stack([there[chunk.id] for chunk in chunks])

    return copied


class CatchingUp:
    """`make_way` is called before each batch of chunks, and may wait."""

    def __init__(
        self, lease: GenerationLease, index: VectorIndex, vectorise: Vectorise, make_way: Callable[[], None]
    ) -> None:
        self._lease = lease
        self._index = index
        self._vectorise = vectorise
        self._make_way = make_way

    def once(self) -> int:
        """One pass over the differences; how many there were."""
        changes = 0
        for entry in list(unwanted(self._lease.generation)):
            self._lease.keep()
            self._index.delete_version(entry.version)
            entry.delete()
            changes += 1
        for document in one_by_one(outdated(self._lease.generation)):
            self._bring(document)
            changes += 1
        return changes

    def _bring(self, document: Document) -> None:
        version = document.active_version
        assert version is not None
        entry = self._entry(version)
        try:
            if entry is None or entry.stamp is None:
                self._write_chunks(document, version, entry.written if entry else 0)
            else:
                self._write_fields(document, version)
        except Gone:
            return  # the next pass sees what became of it
        # As of before its readers and tags were read: if they changed since, it is outdated again.
        self._entries(version).update(stamp=document.updated_at)

    def _write_chunks(self, document: Document, version: DocumentVersion, written: int) -> None:
        while chunks := list(version.chunks.order_by("ordinal")[written : written + CHUNKS]):
            self._make_way()
            self._lease.keep()
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
