"""From a stored file to a version that answers: parse, chunk, embed, index, flip."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import PurePosixPath
from uuid import UUID, uuid5

import numpy as np
from django.db import transaction

from cairn.access.services import reader_tokens
from cairn.errors import DocumentRejected, Rejection, TransientError
from cairn.inference.protocols import Embedder, Vectors
from cairn.library import storage
from cairn.library.models import Chunk, Document, DocumentVersion
from cairn.library.rendition import Rendition
from ingestion import lifecycle
from ingestion.chunking import ChunkDraft, chunk
from ingestion.cleanup import remove_chunks
from ingestion.faults import Fault, fault_point
from ingestion.lifecycle import Interrupted, Lease, LeaseLost
from ingestion.models import Job, Stage
from ingestion.parsers import limits, parser_pool
from retrieval.bm25 import document_sparse
from retrieval.engine import Engine, engine
from retrieval.index.protocol import Point

log = logging.getLogger(__name__)

EMBED_BATCH = 64
INDEX_BATCH = 256

_LATER = {
    Stage.PARSING: (Rejection.PARSER_CRASHED, "The file could not be processed. Retry it, or report it."),
    Stage.CHUNKING: (Rejection.PARSER_CRASHED, "The file could not be processed. Retry it, or report it."),
    Stage.EMBEDDING: (Rejection.EMBEDDING_FAILED, "The embedding model did not answer. Retry when it does."),
    Stage.INDEXING: (Rejection.INDEX_UNAVAILABLE, "The vector index did not answer. Retry when it does."),
}


def run(job_id: UUID) -> None:
    """Works on a job if it is free. What goes wrong with the file ends in the job's row."""
    lease = lifecycle.claim(job_id)
    if lease is None:
        return
    log.info("job %s: attempt %d", job_id, lease.attempt)
    fault_point(Fault.AFTER_CLAIM)
    try:
        with lifecycle.heartbeat(lease):
            _work(lease)
    except LeaseLost:
        log.warning("job %s: lease lost", job_id)
    except Interrupted:
        lifecycle.hand_back(lease)
    except DocumentRejected as rejection:
        _give_up(lease, rejection)
    except TransientError as error:
        _later(lease, error)
    except Exception as error:
        log.exception("job %s failed unexpectedly", job_id)
        _later(lease, error)


def _give_up(lease: Lease, rejection: DocumentRejected) -> None:
    if lifecycle.stopping.is_set():
        lifecycle.hand_back(lease)
        return
    lifecycle.fail(lease, rejection)
    log.info("job %s: failed, %s", lease.job, rejection.reason)
    remove_chunks(lease.version, engine().index)


def _later(lease: Lease, error: Exception) -> None:
    try:
        stage = Stage(Job.objects.values_list("stage", flat=True).get(pk=lease.job))
        reason, message = _LATER.get(stage, _LATER[Stage.PARSING])
        again = lifecycle.postpone(lease, reason, message)
    except (LeaseLost, Job.DoesNotExist):
        return
    log.warning(
        "job %s: %s in %s, %s", lease.job, type(error).__name__, stage, "again" if again else "failed"
    )


def _work(lease: Lease) -> None:
    parts = engine()
    version = lease.version
    rendition = _parse(lease)
    fault_point(Fault.AFTER_PARSE)
    title = _title(version, rendition)
    drafts = _chunk(lease, rendition, title, parts.embedder)
    chunks = _save(version, rendition, drafts)
    fault_point(Fault.AFTER_CHUNK)
    vectors = _embed(lease, drafts, parts.embedder)
    fault_point(Fault.AFTER_EMBED)
    _index(lease, chunks, drafts, vectors, parts)
    fault_point(Fault.BEFORE_FLIP)
    replaced = lifecycle.activate(lease, title=title)
    fault_point(Fault.AFTER_FLIP)
    if replaced is not None:
        remove_chunks(replaced, parts.index)
    fault_point(Fault.AFTER_CLEANUP)


def _parse(lease: Lease) -> Rendition:
    version = lease.version
    lease.enter(Stage.PARSING)
    with storage.as_local_path(version.original) as path:
        parsed = parser_pool().parse(path, version.filename, limits=limits(), cancelled=lease.interrupted)
    lease.check()
    version.media_type = parsed.media_type
    version.rendition = storage.rendition_save(version.id, parsed.rendition)
    return parsed.rendition


def _title(version: DocumentVersion, rendition: Rendition) -> str:
    document = version.document
    if document.title_given:
        return document.title
    return (rendition.title or PurePosixPath(version.filename).stem)[:500]


def _chunk(lease: Lease, rendition: Rendition, title: str, embedder: Embedder) -> list[ChunkDraft]:
    lease.enter(Stage.CHUNKING, total=len(rendition.elements))
    drafts = chunk(rendition, title=title, count_tokens=embedder.count_tokens, max_tokens=embedder.max_tokens)
    if not drafts:
        raise DocumentRejected(Rejection.NO_TEXT, "No text was found in this file, so it cannot be searched.")
    return drafts


def _save(version: DocumentVersion, rendition: Rendition, drafts: Sequence[ChunkDraft]) -> list[Chunk]:
    """Chunk ids follow from version and ordinal: what an earlier attempt left is written over."""
    chunks = [_row(version, draft) for draft in drafts]
    with transaction.atomic():
        Chunk.objects.filter(version=version).delete()
        Chunk.objects.bulk_create(chunks, batch_size=500)
        version.pages, version.language = rendition.pages, rendition.language
        version.report, version.chunk_count = asdict(rendition.report), len(chunks)
        version.properties = rendition.properties
        version.save(
            update_fields=[
                "media_type", "rendition", "pages", "language", "report", "properties", "chunk_count",
            ]
        )  # fmt: skip
    return chunks


def _row(version: DocumentVersion, draft: ChunkDraft) -> Chunk:
    return Chunk(
        id=uuid5(version.id, str(draft.ordinal)),
        version=version,
        ordinal=draft.ordinal,
        text=draft.text,
        context=draft.context,
        section=list(draft.section),
        page=draft.page,
        elements=list(draft.elements),
        tokens=draft.tokens,
        sha256=sha256(draft.text.encode()).hexdigest(),
    )


def _embed(lease: Lease, drafts: Sequence[ChunkDraft], embedder: Embedder) -> Vectors:
    lease.enter(Stage.EMBEDDING, total=len(drafts))
    batches: list[Vectors] = []
    for start in range(0, len(drafts), EMBED_BATCH):
        texts = [draft.embedding_text for draft in drafts[start : start + EMBED_BATCH]]
        batches.append(embedder.embed_documents(texts))
        lease.progress(start + len(texts))
    return np.concatenate(batches)


def _index(
    lease: Lease, chunks: Sequence[Chunk], drafts: Sequence[ChunkDraft], vectors: Vectors, parts: Engine
) -> None:
    lease.enter(Stage.INDEXING, total=len(chunks))
    if lease.attempt > 1:
        parts.index.delete_version(lease.version.id)
    document = Document.objects.select_related("knowledge_base").get(pk=lease.version.document_id)
    points = _points(document, chunks, drafts, vectors)
    for start in range(0, len(points), INDEX_BATCH):
        parts.index.upsert(points[start : start + INDEX_BATCH])
        fault_point(Fault.AFTER_UPSERT)
        lease.progress(min(start + INDEX_BATCH, len(points)))


def _points(
    document: Document, chunks: Sequence[Chunk], drafts: Sequence[ChunkDraft], vectors: Vectors
) -> list[Point]:
    readers = reader_tokens(document)
    tags = tuple(document.tags.values_list("name", flat=True))
    return [
        Point(
            id=row.id,
            dense=vector,
            sparse=document_sparse(draft.embedding_text),
            knowledge_base=document.knowledge_base_id,
            document=document.id,
            version=row.version_id,
            readers=readers,
            source_uri=document.source_uri,
            tags=tags,
            created_at=document.created_at.timestamp(),
        )
        for row, draft, vector in zip(chunks, drafts, vectors, strict=True)
    ]
