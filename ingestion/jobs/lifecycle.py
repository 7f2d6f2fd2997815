"""State transitions of jobs, and the leases that allow them.

A worker claims a job and gets a Lease. Every write names the lease, so a worker that was presumed dead
and comes back changes nothing: it gets LeaseLost.
"""

import threading
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from cairn.errors import CairnError, DocumentRejected, Rejection
from cairn.library.models import Document, DocumentVersion, VersionState
from cairn.messages import CodedMessage
from cairn.settings import environment
from ingestion.jobs.fair_queue import current_ticket
from ingestion.models import LEASE, LONGEST_PAUSE, Job, JobQuerySet, Lane, Stage
from retrieval.index.generations import still_answers
from retrieval.models import IndexGeneration

BACKOFF = timedelta(seconds=environment().job_retry_seconds)
_MIN_VISIBLE_TOTAL: Final = 64
_CANCELLED = CodedMessage("cancelled_retry")

stopping = threading.Event()
"""Set when this process is about to end: running jobs go back to the queue."""


class LeaseLost(CairnError):
    """The job was claimed by another worker or deleted; this worker must not touch it."""


class GenerationChanged(CairnError):
    """The active index generation is no longer the one that got the points."""


class Interrupted(CairnError):
    """The process is shutting down; the job waits for the next one."""


@dataclass(eq=False, slots=True)
class Lease:
    """The right of one worker to process a job. `stage` may be ahead of the job's row."""

    job: uuid.UUID
    version: DocumentVersion
    token: uuid.UUID
    attempt: int
    lane: Lane = Lane.INTERACTIVE
    stage: Stage = Stage.PARSING
    cancel: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)

    def is_interrupted(self) -> bool:
        return self.cancel.is_set() or self.lost.is_set() or stopping.is_set()

    def check(self) -> None:
        """Raise Interrupted, LeaseLost or DocumentRejected(CANCELLED) if the work should end here."""
        if stopping.is_set():
            raise Interrupted
        if self.lost.is_set():
            raise LeaseLost
        if self.cancel.is_set():
            raise DocumentRejected(Rejection.CANCELLED, _CANCELLED)

    def enter(self, stage: Stage, *, total: int = 0) -> None:
        self.check()
        self.stage = stage
        self._write(stage=stage, done=0, total=total, stage_since=Now())

    def pass_through(self, stage: Stage, *, total: int) -> None:
        """Enter a stage, but write it only for documents large enough for the stage to be noticed."""
        if total > _MIN_VISIBLE_TOTAL:
            self.enter(stage, total=total)
        else:
            self.check()
            self.stage = stage

    def progress(self, done: int, *, total: int | None = None) -> None:
        self.check()
        self._write(done=done, **({} if total is None else {"total": total}))

    def _write(self, **changes: object) -> None:
        rows = Job.objects.filter(pk=self.job, lease=self.token)
        if not rows.update(lease_until=Now() + LEASE, updated_at=Now(), **changes):
            self.lost.set()
            raise LeaseLost

    def lock_job(self) -> Job:
        """Lock the job's row for the rest of the transaction. Raises LeaseLost."""
        try:
            return Job.objects.select_for_update().get(pk=self.job, lease=self.token)
        except Job.DoesNotExist:
            raise LeaseLost from None


@dataclass(frozen=True, slots=True)
class Flip:
    """The result of an activation.

    `idle` is a version that is not active: the previous one, or this one if a newer version is active.
    """

    document: Document
    idle: DocumentVersion | None


def claim(job_id: uuid.UUID) -> Lease | None:
    """Claim this job if it is due or abandoned. Returns None if there is nothing to do."""
    with transaction.atomic():
        free = Job.objects.due() | Job.objects.dropped()
        job = _lock_first(free.filter(pk=job_id))
        return _grant_lease(job) if job and _worth_doing(job) else None


def claim_next(lane: Lane) -> Lease | None:
    """Claim the next job in turn. Workers of the bulk lane take interactive jobs first."""
    for each in (Lane.INTERACTIVE,) if lane == Lane.INTERACTIVE else (Lane.INTERACTIVE, Lane.BULK):
        # Query first, since on SQLite a transaction locks everyone out.
        has_queued = each == lane or Job.objects.queued().filter(lane=each).exists()
        if has_queued and (lease := _claim_first(_IN_TURN[each])):
            return lease
    return None


_IN_TURN: Final = {lane: Job.objects.due().filter(lane=lane).in_order() for lane in Lane}
"""Made once: putting the question together takes longer than asking it."""


def _claim_first(queue: JobQuerySet) -> Lease | None:
    with transaction.atomic():
        while job := _lock_first(queue):
            if _worth_doing(job):
                return _grant_lease(job)
    return None


def _lock_first(rows: JobQuerySet) -> Job | None:
    """Lock the first row that no other worker has locked."""
    free = rows.select_for_update(of=("self",), skip_locked=True)
    return free.select_related("version__document__knowledge_base").first()


def _grant_lease(job: Job) -> Lease:
    token = uuid.uuid4()
    Job.objects.filter(pk=job.pk).update(
        stage=Stage.PARSING, stage_since=Now(), done=0, total=0, attempts=job.attempts + 1, not_before=None,
        lease=token, lease_until=Now() + LEASE, started_at=Now(), updated_at=Now(),
    )  # fmt: skip
    DocumentVersion.objects.filter(pk=job.version_id).update(state=VersionState.PROCESSING)
    return Lease(job.id, job.version, token, job.attempts + 1, Lane(job.lane))


def _worth_doing(job: Job) -> bool:
    """Return whether to work on the job, ending it if it was cancelled or out of attempts."""
    document = job.version.document
    if job.cancel_requested or document.deleted_at or document.knowledge_base.deleted_at:
        end_cancelled(job)
        return False
    if job.attempts >= environment().job_max_attempts:
        _end(job, Rejection.PARSER_CRASHED, CodedMessage("worker_crashed"))
        return False
    return True


def end_cancelled(job: Job, **changes: object) -> None:
    _end(job, Rejection.CANCELLED, _CANCELLED, **changes)


def cancel_all(jobs: JobQuerySet) -> None:
    """End queued jobs now and running ones at their next check. Requires a transaction."""
    jobs.open().update(cancel_requested=True)
    ended = Job.objects.filter(pk__in=jobs.queued().values("pk"))
    ended.update(stage=Stage.CANCELLED, stage_since=Now(), updated_at=Now())
    versions = DocumentVersion.objects.filter(
        job__in=jobs.filter(stage=Stage.CANCELLED), state=VersionState.QUEUED
    )
    versions.update(state=VersionState.FAILED, error_code=Rejection.CANCELLED.value, error_message=_CANCELLED)


def _move(job: Job, stage: Stage, **changes: object) -> None:
    """Move a job to a stage and release its lease. Uses the database's clock, as a worker's may be wrong."""
    free = {"stage": stage, "lease": None, "lease_until": None, "stage_since": Now(), "updated_at": Now()}
    Job.objects.filter(pk=job.pk).update(**free, **changes)


def _end(job: Job, reason: Rejection, message: str, **changes: object) -> None:
    _move(job, Stage.CANCELLED if reason == Rejection.CANCELLED else Stage.FAILED, **changes)
    version = job.version
    version.state, version.error_code, version.error_message = VersionState.FAILED, reason.value, message
    version.save(update_fields=["state", "error_code", "error_message"])
    _cancel_inside(version)


def _cancel_inside(version: DocumentVersion) -> None:
    """Cancel jobs of embedded files, which are only searchable with their container. A retry restarts
    them.
    """
    if not version.document.children.exists():
        return
    for inside in Document.objects.levels_in(version.document):
        came = {"version__document__in": inside, "version__created_at__gte": version.created_at}
        cancel_all(Job.objects.filter(**came))


def fail(lease: Lease, rejection: DocumentRejected) -> None:
    with transaction.atomic():
        _end(lease.lock_job(), rejection.reason, rejection.message)


def hand_back(lease: Lease) -> None:
    """Requeue the job without counting this attempt: the process is shutting down."""
    with transaction.atomic():
        job = lease.lock_job()
        _requeue(job, attempts=job.attempts - 1)


def postpone(lease: Lease, reason: Rejection, message: str, *, error: str = "") -> bool:
    """Requeue the job with exponential backoff. Returns False, and fails it, after the last attempt."""
    with transaction.atomic():
        job = lease.lock_job()
        if job.attempts >= environment().job_max_attempts:
            _end(job, reason, message, last_error=error[:200])
            return False
        pause = min(BACKOFF * 2 ** (job.attempts - 1), LONGEST_PAUSE)
        _requeue(job, last_error=error[:200], not_before=Now() + pause)
        return True


def requeue_dropped_jobs() -> int:
    """Requeue jobs whose lease has expired, and end the cancelled ones. Returns their number."""
    ids = list(Job.objects.dropped().values_list("id", flat=True))
    return sum(map(_requeue_dropped_job, ids))


def _requeue_dropped_job(job_id: uuid.UUID) -> bool:
    with transaction.atomic():
        job = _lock_first(Job.objects.dropped().filter(pk=job_id))
        if job is None:
            return False
        end = end_cancelled if job.cancel_requested else _requeue
        end(job, last_error="The worker stopped.")
        return True


def _requeue(job: Job, **changes: object) -> None:
    """Requeue a job at the front of its lane, as it has already waited for its turn."""
    _move(job, Stage.QUEUED, done=0, total=0, turn=current_ticket(Lane(job.lane)), **changes)
    DocumentVersion.objects.filter(pk=job.version_id).update(state=VersionState.QUEUED)


def activate(lease: Lease, *, title: str, generation: IndexGeneration | None = None) -> Flip:
    """Make the version the active one; it is searchable from this commit on.

    A version older than the active one ends as ready without becoming active. Raises GenerationChanged
    unless `generation`, which has its points, is still active; DocumentRejected(CANCELLED) as Lease.check().
    """
    version = lease.version
    with transaction.atomic():
        if generation and not still_answers(generation):
            raise GenerationChanged
        job = lease.lock_job()
        if job.cancel_requested:  # since the last check; the response to that request promised that it ends
            raise DocumentRejected(Rejection.CANCELLED, _CANCELLED)
        document = Document.objects.select_for_update().get(pk=version.document_id)
        if document.deleted_at:
            raise LeaseLost
        replaced = document.active_version
        newest = replaced is None or replaced.number <= version.number
        if newest:
            document.active_version = version
            document.title = document.title if document.title_given else title
            # Readers or tags that changed since the claim may have missed the points written meanwhile.
            document.index_stale |= document.updated_at != version.document.updated_at
            document.save(update_fields=["active_version", "title", "index_stale", "updated_at"])
        _move(job, Stage.READY)
        DocumentVersion.objects.filter(pk=version.pk).update(
            state=VersionState.READY, error_code="", error_message=""
        )
    idle = replaced if newest else version
    return Flip(document, None if idle == document.active_version else idle)


def renew(tokens: Collection[uuid.UUID]) -> dict[uuid.UUID, bool]:
    """Renew leases. Returns, by token of each live lease, whether its job should be cancelled."""
    rows = Job.objects.filter(lease__in=tokens)
    rows.update(lease_until=Now() + LEASE, updated_at=Now())
    return {token: asked for token, asked in rows.values_list("lease", "cancel_requested") if token}


def version_withdraw(document: Document, *, message: str) -> None:
    """Deactivate the document's version as if it had been cancelled. Requires a transaction.

    The sweeper removes its passages; a retry restores it.
    """
    row = Document.objects.select_for_update(of=("self",)).get(pk=document.pk)
    cancel_all(Job.objects.filter(version__document=row))
    row.active_version = None
    row.save(update_fields=["active_version", "updated_at"])
    versions = DocumentVersion.objects.filter(document=row, pk__in=[row.latest_version_id])
    versions.update(state=VersionState.FAILED, error_code=Rejection.CANCELLED.value, error_message=message)
    ended = Job.objects.filter(version__in=versions, stage=Stage.READY)
    ended.update(stage=Stage.CANCELLED, stage_since=Now(), updated_at=Now())
