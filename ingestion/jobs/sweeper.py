"""Recovery of work that the broker has lost or a worker has abandoned."""

import logging
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from cairn.library.models import Document, DocumentVersion
from cairn.settings import environment
from ingestion import broker
from ingestion.indexing.cleanup import remove_chunks
from ingestion.jobs.lifecycle import requeue_dropped_jobs
from ingestion.models import ENDED, RUNNING, Job, JobQuerySet, Lane, Receipt, ReceiptState
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexGeneration

log = logging.getLogger(__name__)

AGE = timedelta(seconds=environment().sweep_seconds / 2)
BATCH_SIZE = 64
TOKENS = 4
_SKEW = timedelta(seconds=1)


def wake(*, age: timedelta = AGE, tokens: int = TOKENS) -> int:
    """Wake lanes with overdue jobs, whose messages were lost or whose pause is over. Returns messages sent.

    A lane from which a job was taken within `age` is awake. Others get a few messages, each of which passes
    itself on until the lane is empty.
    """
    requeue_dropped_jobs()
    sent = 0
    for lane in Lane:
        waiting = min(_overdue(lane, age)[:tokens].count(), tokens)
        if waiting and not _is_lane_active(lane, age):
            log.info("sweeper: waking the lane %s", lane)
            for _ in range(waiting):
                broker.wake_worker(lane, again=True)
            sent += waiting
    return sent


def _overdue(lane: Lane, age: timedelta) -> JobQuerySet:
    return Job.objects.due().filter(lane=lane).exclude(_within("updated_at", age))


def _is_lane_active(lane: Lane, age: timedelta) -> bool:
    recent = Job.objects.filter(_within("updated_at", age), stage__in=(*RUNNING, *ENDED))
    return recent.filter(_within("started_at", age), lane=lane).exists()


def _within(field: str, age: timedelta) -> Q:
    """Match times less than `age` ago. Future times come from a wrong clock and do not match."""
    return Q(**{f"{field}__gt": Now() - age, f"{field}__lte": Now() + _SKEW})


def sweep(*, age: timedelta = AGE, limit: int | None = BATCH_SIZE) -> int:
    """Enqueue erasures and refreshes older than `age` again, oldest first. Returns their number.

    Work that is merely queued may be enqueued twice, which is harmless.
    """
    receipts = Receipt.objects.filter(state=ReceiptState.PENDING).exclude(_within("created_at", age))
    stale = Document.objects.filter(index_stale=True, deleted_at=None).exclude(_within("updated_at", age))
    found = 0
    for rows, enqueue in ((receipts, broker.enqueue_erasure), (stale, broker.enqueue_refresh)):
        for identity in list(rows.values_list("id", flat=True)[:limit]):
            enqueue(identity)
            found += 1
    if found:
        log.info("sweeper: %d re-enqueued", found)
    return found


def sweep_leftovers(index: VectorIndex) -> int:
    """Remove chunks and points of versions that were replaced or failed without cleanup."""
    versions = list(DocumentVersion.objects.leftovers()[:BATCH_SIZE])
    for version in versions:
        remove_chunks(version, index)
    return len(versions)


def leases_release_all() -> int:
    """Release all leases at startup of the only process of an installation. Returns requeued jobs."""
    Job.objects.filter(stage__in=RUNNING).update(lease=None, lease_until=None)
    IndexGeneration.objects.update(lease=None, lease_until=None)
    return requeue_dropped_jobs()
