"""Remove outdated content from the index and the tables, and refresh its access fields."""

from django.db import transaction

from cairn.access.services import reader_tokens
from cairn.library.models import Chunk, Document, DocumentVersion
from ingestion.indexing.points import tags_of
from retrieval.index.generations import still_answers
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexGeneration


def remove_chunks(version: DocumentVersion, index: VectorIndex) -> None:
    """Delete a version's points and chunks.

    Points go first: while rows are left, the sweeper knows that there may be points.
    """
    index.delete_version(version.id)
    Chunk.objects.filter(version=version).delete()


def refresh_stale(document: Document, index: VectorIndex, generation: IndexGeneration | None = None) -> None:
    """Refresh the document and everything embedded in it, where stale."""
    itself = Document.objects.filter(pk=document.pk)
    for rows in (itself, *Document.objects.levels_in(document)):
        for row in rows.filter(index_stale=True, deleted_at=None):
            refresh_index(row, index, generation)


def refresh_index(document: Document, index: VectorIndex, generation: IndexGeneration | None = None) -> None:
    """Bring the index up to date with the document's readers and tags, which change immediately in SQL.

    The document stays stale if this is interrupted, if readers or tags change meanwhile, or if `generation`
    is no longer the active one.
    """
    document.refresh_from_db(fields=["narrowed", "updated_at", "parent"])
    index.set_fields(document.id, readers=reader_tokens(document), tags=tags_of(document))
    with transaction.atomic():
        if generation and not still_answers(generation):
            return
        unchanged = Document.objects.filter(pk=document.pk, updated_at=document.updated_at)
        unchanged.update(index_stale=False)
