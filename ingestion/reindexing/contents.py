"""What a generation has against what SQL says: the difference is what is left to do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet, Sum

from cairn.library.models import Document, DocumentQuerySet
from retrieval.models import GenerationState, IndexedVersion, IndexGeneration

_AT_ONCE: Final = 32
_ROWS_AT_ONCE: Final = 1000
_STALE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Of points whose readers and tags are not sure to be those of any moment."""


def outdated(generation: IndexGeneration) -> DocumentQuerySet:
    """Documents that answer, and whose chunks or present readers and tags it lacks."""
    current = IndexedVersion.objects.filter(
        generation=generation, version=OuterRef("active_version"), stamp=OuterRef("updated_at")
    )
    return Document.objects.present().ready().filter(~Exists(current))


def unwanted(generation: IndexGeneration) -> "QuerySet[IndexedVersion]":
    """Versions that do not answer any more."""
    wanted = Document.objects.present().filter(active_version=OuterRef("version"))
    return IndexedVersion.objects.filter(generation=generation).filter(~Exists(wanted))


def at_most(generation: IndexGeneration, few: int) -> bool:
    """Whether no more than so many differences are left."""
    return outdated(generation)[: few + 1].count() + unwanted(generation)[: few + 1].count() <= few


def one_by_one(documents: DocumentQuerySet) -> Iterator[Document]:
    """In batches. One that becomes outdated behind the pointer waits for another pass."""
    rows = documents.order_by("id").select_related("active_version", "knowledge_base")
    last = None
    while batch := list((rows if last is None else rows.filter(id__gt=last))[:_AT_ONCE]):
        yield from batch
        last = batch[-1].id


def note_active(generation: IndexGeneration) -> None:
    """Writes down what the answering generation has, which SQL knows as long as it answers.

    To be called before it retires; again in the transaction in which it does.
    """
    rows = outdated(generation).select_related("active_version")
    IndexedVersion.objects.bulk_create(
        (_had(generation, document) for document in rows.iterator(_ROWS_AT_ONCE)),
        batch_size=_ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["generation", "version"],
        update_fields=["written", "stamp"],
    )


def _had(generation: IndexGeneration, document: Document) -> IndexedVersion:
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
    """Chunks that it has, and chunks that answer."""
    ready = Document.objects.present().ready()
    total: int = ready.aggregate(sum=Sum("active_version__chunk_count"))["sum"] or 0
    if generation.state == GenerationState.ACTIVE:
        return total, total
    wanted = IndexedVersion.objects.filter(generation=generation, version__in=ready.values("active_version"))
    done: int = wanted.aggregate(sum=Sum("written"))["sum"] or 0
    return min(done, total), total
