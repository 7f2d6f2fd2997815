"""Rows of the documents that a search with filters may find."""

from datetime import UTC, datetime

from cairn.library.models import DocumentQuerySet, Tag
from retrieval.index.protocol import Filters


def narrow_documents(documents: DocumentQuerySet, filters: Filters) -> DocumentQuerySet:
    """Apply the filters of a search, which the index knows by other names."""
    if filters.source_uri is not None:
        documents = documents.filter(source_uri=filters.source_uri)
    if filters.tags is not None:
        documents = documents.filter(pk__in=Tag.objects.filter(name__in=filters.tags).values("document"))
    if filters.document_ids is not None:
        documents = documents.filter(pk__in=filters.document_ids)
    if filters.created_after is not None:
        documents = documents.filter(created_at__gte=datetime.fromtimestamp(filters.created_after, UTC))
    if filters.created_before is not None:
        documents = documents.filter(created_at__lt=datetime.fromtimestamp(filters.created_before, UTC))
    return documents
