"""Process an uploaded file into a searchable version: parse, chunk, embed, index, activate."""

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from uuid import UUID, uuid5

import numpy as np
from django.db import transaction

from cairn.errors import DocumentRejected, Rejection, TransientError
from cairn.inference.protocols import Embedder, Vectors
from cairn.library import storage
from cairn.library.models import Chunk, Document, DocumentVersion
from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage
from cairn.telemetry.context import bind_ids
from cairn.telemetry.metrics import CHUNKS_INDEXED, READY, STAGE_SECONDS, count_job
from cairn.telemetry.tracing import step
from ingestion import broker
from ingestion.chunking.chunker import ChunkDraft, chunk
from ingestion.failpoints import Fault, fault_point
from ingestion.indexing.cleanup import remove_chunks
from ingestion.indexing.embedding_batcher import batcher
from ingestion.indexing.points import points_of
from ingestion.jobs import lifecycle
from ingestion.jobs.heartbeat import heartbeat
from ingestion.jobs.lifecycle import GenerationChanged, Interrupted, Lease, LeaseLost
from ingestion.models import Lane, Stage
from ingestion.parse.core.progress import PagesRead
from ingestion.parse.parser_pool import limits, parser_pool
from ingestion.pipeline import embedded_files
from ingestion.pipeline.embedded_files import UnpackResult
from ingestion.pipeline.vector_reuse import reusable_vectors
from retrieval.engine import Engine, get_engine
from retrieval.suggestions.services import suggestions_replace

log = logging.getLogger(__name__)

INDEX_BATCH = 256
_WRITE_SECONDS = 1.0
_COUNT_BATCH_SIZE = 2048

_LATER = {
    Stage.PARSING: (Rejection.PARSER_CRASHED, CodedMessage("processing_failed")),
    Stage.CHUNKING: (Rejection.PARSER_CRASHED, CodedMessage("processing_failed")),
    Stage.EMBEDDING: (Rejection.EMBEDDING_FAILED, CodedMessage("embedding_failed")),
    Stage.INDEXING: (Rejection.INDEX_UNAVAILABLE, CodedMessage("index_unavailable")),
}


def run(job_id: UUID) -> None:
    """Process a job if it can be claimed."""
    lease = lifecycle.claim(job_id)
    if lease is not None:
        process(lease)


def process(lease: Lease) -> None:
    """Process a claimed job. Errors are recorded in the job's row."""
    with bind_ids(job_id=lease.job), step("job", attributes=_trace_ids(lease)):
        log.info("job %s: attempt %d", lease.job, lease.attempt)
        fault_point(Fault.AFTER_CLAIM)
        try:
            with heartbeat.maintain(lease):
                _run_stages(lease, get_engine())
        except LeaseLost:
            log.warning("job %s: lease lost", lease.job)
        except Interrupted:
            lifecycle.hand_back(lease)
        except GenerationChanged:
            log.info("job %s: repeating for another index generation", lease.job)
            lifecycle.hand_back(lease)
            broker.wake_worker(lease.lane, again=True)
        except DocumentRejected as rejection:
            _give_up(lease, rejection)
        except TransientError as error:
            _retry_later(lease, error)
        except Exception as error:
            log.exception("job %s failed unexpectedly", lease.job)
            _retry_later(lease, error)


def _trace_ids(lease: Lease) -> dict[str, str | int]:
    return {"job_id": str(lease.job), "attempt": lease.attempt}


def _give_up(lease: Lease, rejection: DocumentRejected) -> None:
    if lifecycle.stopping.is_set():
        lifecycle.hand_back(lease)
        return
    lifecycle.fail(lease, rejection)
    count_job(rejection.reason.value)
    log.info("job %s: failed, %s", lease.job, rejection.reason)
    remove_chunks(lease.version, get_engine().index)


def _retry_later(lease: Lease, error: Exception) -> None:
    reason, message = _LATER.get(lease.stage, _LATER[Stage.PARSING])
    try:
        again = lifecycle.postpone(
            lease, reason, message, error=f"{type(error).__name__} while {lease.stage}"
        )
    except LeaseLost:
        return
    if not again:
        count_job(reason.value)
    log.warning(
        "job %s: %s in %s, %s",
        lease.job,
        type(error).__name__,
        lease.stage,
        "retrying" if again else "failed",
    )


def _run_stages(lease: Lease, search_engine: Engine) -> None:
    version = lease.version
    with _stage("parse"):
        rendition, contents = _parse(lease)
    fault_point(Fault.AFTER_PARSE)
    title = _title(version, rendition)
    with _stage("chunk"):
        drafts = _chunk(lease, rendition, title, search_engine.embedder)
        chunks = _save(version, rendition, drafts)
    fault_point(Fault.AFTER_CHUNK)
    with _stage("embed"):
        vectors = _vectors(lease, drafts, chunks, search_engine)
    fault_point(Fault.AFTER_EMBED)
    with _stage("index"):
        _index(lease, chunks, vectors, search_engine)
    fault_point(Fault.BEFORE_FLIP)
    try:
        with transaction.atomic():
            flip = lifecycle.activate(lease, title=title, generation=search_engine.generation)
            if flip.idle != version:
                suggestions_replace(flip.document, [draft.section for draft in drafts])
            embedded_files.delete_missing(version, contents)
    except GenerationChanged:
        search_engine.index.delete_version(version.id)
        raise
    count_job(READY)
    fault_point(Fault.AFTER_FLIP)
    if contents.sources:
        embedded_files.enqueue_jobs(version)
    if flip.idle is not None:
        remove_chunks(flip.idle, search_engine.index)
    fault_point(Fault.AFTER_CLEANUP)


def _stage(name: str) -> AbstractContextManager[object]:
    return step(name, STAGE_SECONDS.labels(name))


def _parse(lease: Lease) -> tuple[Rendition, UnpackResult]:
    """Parse the file and submit embedded ones.

    They are submitted before this version becomes active, so that after an interruption both start again.
    """
    version = lease.version
    lease.check()
    with storage.as_local_path(version.original) as path:
        parsed = parser_pool().parse(
            path,
            version.filename,
            limits=limits(),
            cancelled=lease.is_interrupted,
            progress=_pages(lease),
            urgent=_urgent(lease),
        )
        lease.check()
        version.media_type = parsed.media_type
        version.rendition = storage.rendition_save(version.id, parsed.rendition)
        contents = embedded_files.submit_parts(lease, parsed.parts, _reader(lease, path))
    return embedded_files.add_warnings(parsed.rendition, contents), contents


def _urgent(lease: Lease) -> bool:
    return lease.lane == Lane.INTERACTIVE


def _pages(lease: Lease) -> PagesRead:
    def report(done: int, total: int) -> None:
        lease.progress(done, total=total)

    return report


def _reader(lease: Lease, path: Path) -> embedded_files.Read:
    def read(place: int) -> bytes:
        return parser_pool().part(
            path,
            lease.version.filename,
            place,
            limits=limits(),
            cancelled=lease.is_interrupted,
            urgent=_urgent(lease),
        )

    return read


def _title(version: DocumentVersion, rendition: Rendition) -> str:
    document = version.document
    if document.title_given:
        return document.title
    return (rendition.title or PurePosixPath(version.filename).stem)[:500]


def _chunk(lease: Lease, rendition: Rendition, title: str, embedder: Embedder) -> list[ChunkDraft]:
    lease.pass_through(Stage.CHUNKING, total=len(rendition.elements))
    drafts = chunk(
        rendition,
        title=title,
        count_tokens=partial(_count_tokens, lease, embedder),
        max_tokens=embedder.max_tokens,
    )
    if not drafts:
        raise DocumentRejected(Rejection.NO_TEXT, CodedMessage("no_passages"))
    return drafts


def _count_tokens(lease: Lease, embedder: Embedder, texts: Sequence[str]) -> list[int]:
    """Count the tokens of each text. Cancellation is checked in between, as large files take a while."""
    counts: list[int] = []
    for start in range(0, len(texts), _COUNT_BATCH_SIZE):
        lease.check()
        counts += embedder.count_tokens(texts[start : start + _COUNT_BATCH_SIZE])
    return counts


def _save(version: DocumentVersion, rendition: Rendition, drafts: Sequence[ChunkDraft]) -> list[Chunk]:
    """Replace the version's chunks. Ids derive from version and ordinal, so points of earlier attempts
    match.
    """
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
        cells=[line.as_json() for line in draft.cells],
        links=list(draft.links) or None,
        code=list(draft.code) or None,
        tokens=draft.tokens,
        sha256=sha256(draft.text.encode()).hexdigest(),
    )


def _vectors(
    lease: Lease, drafts: Sequence[ChunkDraft], chunks: Sequence[Chunk], search_engine: Engine
) -> Vectors:
    """Return vectors of shape (len(drafts), dimension), embedding only those the active version lacks."""
    there = reusable_vectors(lease.version, chunks, search_engine.index)
    new = [draft for draft, row in zip(drafts, chunks, strict=True) if row.id not in there]
    made = iter(_embed(lease, new, search_engine.embedder))
    return np.stack([there[row.id] if row.id in there else next(made) for row in chunks])


def _embed(lease: Lease, drafts: Sequence[ChunkDraft], embedder: Embedder) -> Vectors:
    lease.enter(Stage.EMBEDDING, total=len(drafts))
    return batcher(embedder).embed(
        [draft.embedding_text for draft in drafts],
        tokens=[draft.tokens for draft in drafts],
        urgent=_urgent(lease),
        watch=_ProgressReporter(lease),
    )


class _ProgressReporter:
    """Callback that checks the lease often and writes the progress at intervals."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._last = time.monotonic()
        self._reported = 0

    def __call__(self, done: int) -> None:
        self._lease.check()
        now = time.monotonic()
        if done != self._reported and now - self._last >= _WRITE_SECONDS:
            self._last, self._reported = now, done
            self._lease.progress(done)


def _index(lease: Lease, chunks: Sequence[Chunk], vectors: Vectors, search_engine: Engine) -> None:
    lease.pass_through(Stage.INDEXING, total=len(chunks))
    if lease.attempt > 1:
        search_engine.index.delete_version(lease.version.id)
    document = Document.objects.get(pk=lease.version.document_id)
    points = points_of(document, chunks, vectors)
    for start in range(0, len(points), INDEX_BATCH):
        batch = points[start : start + INDEX_BATCH]
        search_engine.index.upsert(batch)
        CHUNKS_INDEXED.inc(len(batch))
        fault_point(Fault.AFTER_UPSERT)
        if start + INDEX_BATCH < len(points):
            lease.progress(start + INDEX_BATCH)
