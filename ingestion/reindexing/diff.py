"""Differences between a generation and SQL, which are the work left to do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet, Sum

from cairn.library.models import Document, DocumentQuerySet
from retrieval.models import GenerationState, IndexedVersion, IndexGeneration

_DOCUMENT_BATCH_SIZE: Final = 32
_ROW_BATCH_SIZE: Final = 1000
_STALE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Of points whose readers and tags are not sure to be those of any moment."""


def find_outdated(generation: IndexGeneration) -> DocumentQuerySet:
    """Find ready documents whose chunks, readers or tags the generation lacks."""
    current = IndexedVersion.objects.filter(
        generation=generation, version=OuterRef("active_version"), stamp=OuterRef("updated_at")
    )
    return Document.objects.present().ready().filter(~Exists(current))


def obsolete(generation: IndexGeneration) -> "QuerySet[IndexedVersion]":
    """Versions in the generation that are no longer active."""
    answering = Document.objects.present().filter(active_version=OuterRef("version"))
    return IndexedVersion.objects.filter(generation=generation).filter(~Exists(answering))


def has_at_most(generation: IndexGeneration, few: int) -> bool:
    """Return whether at most `few` differences are left."""
    return find_outdated(generation)[: few + 1].count() + obsolete(generation)[: few + 1].count() <= few


def iterate_documents(documents: DocumentQuerySet) -> Iterator[Document]:
    """Yield documents in batches by id. Those changed behind the cursor are left for the next pass."""
    rows = documents.order_by("id").select_related("active_version", "knowledge_base")
    last = None
    while batch := list((rows if last is None else rows.filter(id__gt=last))[:_DOCUMENT_BATCH_SIZE]):
        yield from batch
        last = batch[-1].id


def note_active(generation: IndexGeneration) -> None:
    """Record the contents of the active generation, which are implied by SQL while it is active.

    Call it before the generation retires, and again in the transaction that retires it.
    """
    rows = find_outdated(generation).select_related("active_version")
    IndexedVersion.objects.bulk_create(
        (_entry_for(generation, document) for document in rows.iterator(_ROW_BATCH_SIZE)),
        batch_size=_ROW_BATCH_SIZE,
        update_conflicts=True,
        unique_fields=["generation", "version"],
        update_fields=["written", "stamp"],
    )


def _entry_for(generation: IndexGeneration, document: Document) -> IndexedVersion:
    version = document.active_version
    assert version is not None
    return IndexedVersion(
        generation=generation,
        document=document.id,
        version=version.id,
        written=version.chunk_count,
        stamp=_STALE if document.index_stale else document.updated_at,
    )


def progress(generation: IndexGeneration) -> tuple[int, int]:
    """Return the numbers of indexed chunks and of all active chunks."""
    ready = Document.objects.present().ready()
    total: int = ready.aggregate(sum=Sum("active_version__chunk_count"))["sum"] or 0
    if generation.state == GenerationState.ACTIVE:
        return total, total
    written = IndexedVersion.objects.filter(generation=generation, version__in=ready.values("active_version"))
    done: int = written.aggregate(sum=Sum("written"))["sum"] or 0
    return min(done, total), total
