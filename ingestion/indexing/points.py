"""Build index points from a document's chunks."""

from collections.abc import Sequence

from cairn.access.services import reader_tokens
from cairn.inference.protocols import Vectors
from cairn.library.models import Chunk, Document
from ingestion.chunking.breadcrumbs import with_context
from retrieval.index.protocol import Point
from retrieval.search.bm25 import document_sparse


def embedding_text(chunk: Chunk) -> str:
    return with_context(chunk.context, chunk.text)


def points_of(document: Document, chunks: Sequence[Chunk], vectors: Vectors) -> list[Point]:
    """Build a point for each chunk. `vectors` has a row for each."""
    readers, tags = reader_tokens(document), tags_of(document)
    return [
        Point(
            id=chunk.id,
            dense=vector,
            sparse=document_sparse(embedding_text(chunk)),
            knowledge_base=document.knowledge_base_id,
            document=document.id,
            version=chunk.version_id,
            readers=readers,
            source_uri=document.source_uri,
            tags=tags,
            created_at=document.created_at.timestamp(),
        )
        for chunk, vector in zip(chunks, vectors, strict=True)
    ]


def tags_of(document: Document) -> tuple[str, ...]:
    return tuple(document.tags.values_list("name", flat=True))
