"""Taking out of the index and the tables what may not answer any more."""

from cairn.access.services import reader_tokens
from cairn.library.models import Chunk, Document, DocumentVersion
from retrieval.index.protocol import VectorIndex


def remove_chunks(version: DocumentVersion, index: VectorIndex) -> None:
    """Points first: while rows are left, the sweeper knows that there may be points."""
    index.delete_version(version.id)
    Chunk.objects.filter(version=version).delete()


def refresh_index(document: Document, index: VectorIndex) -> None:
    """Brings the index up to the document's present readers and tags. SQL has them at once."""
    Document.objects.filter(pk=document.pk).update(index_stale=False)
    tags = tuple(document.tags.values_list("name", flat=True))
    try:
        index.set_fields(document.id, readers=reader_tokens(document), tags=tags)
    except BaseException:
        Document.objects.filter(pk=document.pk).update(index_stale=True)
        raise
