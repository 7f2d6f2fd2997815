"""How a job moves from stage to stage, and who may move it.

A worker claims a job and gets a Lease. Every write names the lease, so a worker that was thought
dead and comes back changes nothing: it meets LeaseLost.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from cairn.errors import CairnError, DocumentRejected, Rejection
from cairn.library.models import Document, DocumentVersion, VersionState
from cairn.settings import environment
from ingestion.models import Job, Stage

LEASE = timedelta(seconds=45)
HEARTBEAT_SECONDS = 2.0
BACKOFF = timedelta(seconds=5)

stopping = threading.Event()
"""Set when this process is about to end: running jobs go back to the queue."""


class LeaseLost(CairnError):
    """Another worker has the job now, or it is gone; this one must not touch it."""


class Interrupted(CairnError):
    """The process is ending; the job waits for the next one."""


@dataclass(frozen=True, slots=True)
class Lease:
    job: uuid.UUID
    version: DocumentVersion
    token: uuid.UUID
    attempt: int
    cancel: threading.Event = field(default_factory=threading.Event)

    def interrupted(self) -> bool:
        return self.cancel.is_set() or stopping.is_set()

    def check(self) -> None:
        """Raises Interrupted or DocumentRejected(CANCELLED) when the work should end here."""
        if stopping.is_set():
            raise Interrupted
        if self.cancel.is_set():
            raise DocumentRejected(
                Rejection.CANCELLED, "The job was cancelled. Retry it to process the file."
            )

    def enter(self, stage: Stage, *, total: int = 0) -> None:
        self.check()
        self._write(stage=stage, done=0, total=total, stage_since=timezone.now())

    def progress(self, done: int) -> None:
        self.check()
        self._write(done=done)

    def renew(self) -> None:
        self._write()
        if Job.objects.filter(pk=self.job, cancel_requested=True).exists():
            self.cancel.set()

    def _write(self, **changes: object) -> None:
        now = timezone.now()
        held = Job.objects.filter(pk=self.job, lease=self.token)
        if not held.update(lease_until=now + LEASE, updated_at=now, **changes):
            self.cancel.set()
            raise LeaseLost

    def locked(self) -> Job:
        """The job's row for the rest of the transaction."""
        held = Job.objects.select_for_update().filter(pk=self.job, lease=self.token)
        job = held.select_related("version").first()
        if job is None:
            raise LeaseLost
        return job


def claim(job_id: uuid.UUID) -> Lease | None:
    """The right to work on an open job, or None if there is nothing to do for this worker."""
    now = timezone.now()
    with transaction.atomic():
        rows = Job.objects.select_for_update().unheld(now).filter(pk=job_id)
        job = rows.select_related("version__document__knowledge_base").first()
        if job is None or not _worth_doing(job):
            return None
        job.lease, job.lease_until = uuid.uuid4(), now + LEASE
        job.attempts += 1
        job.started_at = now
        job.save()
        DocumentVersion.objects.filter(pk=job.version_id).update(state=VersionState.PROCESSING)
    return Lease(job.id, job.version, job.lease, job.attempts)


def _worth_doing(job: Job) -> bool:
    """Ends jobs that were cancelled while queued, or whose workers keep dying."""
    document = job.version.document
    if document.deleted_at or document.knowledge_base.deleted_at:
        return False
    if job.cancel_requested:
        end_cancelled(job)
        return False
    if job.attempts >= environment().job_max_attempts:
        _end(job, Rejection.PARSER_CRASHED, "The worker stopped each time it worked on this file.")
        return False
    return True


def end_cancelled(job: Job) -> None:
    _end(job, Rejection.CANCELLED, "The job was cancelled. Retry it to process the file.")


def _end(job: Job, reason: Rejection, message: str) -> None:
    job.stage = Stage.CANCELLED if reason == Rejection.CANCELLED else Stage.FAILED
    job.lease, job.lease_until, job.stage_since = None, None, timezone.now()
    job.save()
    version = job.version
    version.state, version.error_code, version.error_message = VersionState.FAILED, reason.value, message
    version.save(update_fields=["state", "error_code", "error_message"])


def fail(lease: Lease, rejection: DocumentRejected) -> None:
    with transaction.atomic():
        _end(lease.locked(), rejection.reason, rejection.message)


def hand_back(lease: Lease) -> None:
    """As if this attempt had not been: the process is ending, the job is not to blame."""
    with transaction.atomic():
        job = lease.locked()
        job.attempts -= 1
        _requeue(job)


def postpone(lease: Lease, reason: Rejection, message: str) -> bool:
    """Another attempt later, with growing pauses; False and `failed` when there were enough."""
    with transaction.atomic():
        job = lease.locked()
        if job.attempts >= environment().job_max_attempts:
            _end(job, reason, message)
            return False
        job.not_before = timezone.now() + BACKOFF * 2 ** (job.attempts - 1)
        _requeue(job)
        return True


def _requeue(job: Job) -> None:
    job.stage, job.done, job.total = Stage.QUEUED, 0, 0
    job.lease, job.lease_until, job.stage_since = None, None, timezone.now()
    job.save()
    DocumentVersion.objects.filter(pk=job.version_id).update(state=VersionState.QUEUED)


def activate(lease: Lease, *, title: str) -> DocumentVersion | None:
    """The flip: from this commit on the new version answers. Returns one that does not answer (any more).

    A version that a newer one has overtaken ends as ready without answering.
    """
    with transaction.atomic():
        job = lease.locked()
        document = (
            Document.objects.select_for_update()
            .select_related("active_version")
            .get(pk=job.version.document_id)
        )
        if document.deleted_at:
            raise LeaseLost
        replaced = document.active_version
        newest = replaced is None or replaced.number <= job.version.number
        if newest:
            document.active_version = job.version
            document.title = document.title if document.title_given else title
            # Readers or tags that changed since the claim may have missed the points written meanwhile.
            document.index_stale |= document.updated_at != lease.version.document.updated_at
            document.save(update_fields=["active_version", "title", "index_stale", "updated_at"])
        job.stage, job.lease, job.lease_until = Stage.READY, None, None
        job.stage_since = timezone.now()
        job.save()
        DocumentVersion.objects.filter(pk=job.version_id).update(
            state=VersionState.READY, error_code="", error_message=""
        )
    idle = replaced if newest else job.version
    return None if idle == document.active_version else idle


@contextmanager
def heartbeat(lease: Lease) -> Iterator[None]:
    """Renews the lease from a thread of its own while the work runs."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(lease.renew, done), daemon=True, name=f"lease-{lease.job}")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(renew: Callable[[], None], done: threading.Event) -> None:
    try:
        while not done.wait(HEARTBEAT_SECONDS):
            renew()
    except LeaseLost:
        pass
    finally:
        connection.close()
