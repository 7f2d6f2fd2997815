"""Taking out of the index and the tables what may not answer any more."""

from django.db import transaction

from cairn.access.services import reader_tokens
from cairn.library.models import Chunk, Document, DocumentVersion
from ingestion.points import tags_of
from retrieval.index.factory import still_answers
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexGeneration


def remove_chunks(version: DocumentVersion, index: VectorIndex) -> None:
    """Points first: while rows are left, the sweeper knows that there may be points."""
    index.delete_version(version.id)
    Chunk.objects.filter(version=version).delete()


def refresh_stale(document: Document, index: VectorIndex, generation: IndexGeneration | None = None) -> None:
    """With what came in it."""
    itself = Document.objects.filter(pk=document.pk)
    for rows in (itself, *Document.objects.levels_in(document)):
        for row in rows.filter(index_stale=True, deleted_at=None):
            refresh_index(row, index, generation)


def refresh_index(document: Document, index: VectorIndex, generation: IndexGeneration | None = None) -> None:
    """Brings the index up to the document's readers and tags, which SQL has at once.

    The document stays stale if this is interrupted, if they change meanwhile, or if `generation`, whose
    index it is, does not answer any more.
    """
    document.refresh_from_db(fields=["narrowed", "updated_at", "parent"])
    index.set_fields(document.id, readers=reader_tokens(document), tags=tags_of(document))
    with transaction.atomic():
        if generation and not still_answers(generation):
            return
        unchanged = Document.objects.filter(pk=document.pk, updated_at=document.updated_at)
        unchanged.update(index_stale=False)
