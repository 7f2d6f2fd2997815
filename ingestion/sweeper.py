"""Finds work that the broker has lost or a worker has dropped."""

import logging
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from cairn.library.models import Document, DocumentVersion
from cairn.settings import environment
from ingestion import queue
from ingestion.cleanup import remove_chunks
from ingestion.lifecycle import dropped_requeue
from ingestion.models import ENDED, RUNNING, Job, JobQuerySet, Lane, Receipt, ReceiptState
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexGeneration

log = logging.getLogger(__name__)

AGE = timedelta(seconds=environment().sweep_seconds / 2)
AT_ONCE = 64
TOKENS = 4
_SKEW = timedelta(seconds=1)


def wake(*, age: timedelta = AGE, tokens: int = TOKENS) -> int:
    """Gets work going that nobody does though it is due: messages were lost, or a pause is over.

    A lane from which a job was taken within `age` is awake. One that sleeps gets a few tokens, each of
    which passes itself on until the lane is empty; how many were sent.
    """
    dropped_requeue()
    sent = 0
    for lane in Lane:
        waiting = min(_overdue(lane, age)[:tokens].count(), tokens)
        if waiting and not _awake(lane, age):
            log.info("sweeper: waking the lane %s", lane)
            for _ in range(waiting):
                queue.enqueue_work(lane, again=True)
            sent += waiting
    return sent


def _overdue(lane: Lane, age: timedelta) -> JobQuerySet:
    return Job.objects.due().filter(lane=lane).exclude(_within("updated_at", age))


def _awake(lane: Lane, age: timedelta) -> bool:
    recent = Job.objects.filter(_within("updated_at", age), stage__in=(*RUNNING, *ENDED))
    return recent.filter(_within("started_at", age), lane=lane).exists()


def _within(field: str, age: timedelta) -> Q:
    """Less than `age` ago. What lies ahead was written by a clock that was wrong: no reason to wait."""
    return Q(**{f"{field}__gt": Now() - age, f"{field}__lte": Now() + _SKEW})


def sweep(*, age: timedelta = AGE, at_once: int | None = AT_ONCE) -> int:
    """Re-enqueues erasures and refreshes that have waited longer than `age`, oldest first; how many.

    Something that is only waiting its turn may be enqueued twice: doing it again is harmless.
    """
    receipts = Receipt.objects.filter(state=ReceiptState.PENDING).exclude(_within("created_at", age))
    stale = Document.objects.filter(index_stale=True, deleted_at=None).exclude(_within("updated_at", age))
    found = 0
    for rows, enqueue in ((receipts, queue.enqueue_erasure), (stale, queue.enqueue_refresh)):
        for identity in list(rows.values_list("id", flat=True)[:at_once]):
            enqueue(identity)
            found += 1
    if found:
        log.info("sweeper: %d re-enqueued", found)
    return found


def sweep_leftovers(index: VectorIndex) -> int:
    """Removes chunks and points of versions that were replaced or failed while nobody cleaned up."""
    versions = list(DocumentVersion.objects.leftovers()[:AT_ONCE])
    for version in versions:
        remove_chunks(version, index)
    return len(versions)


def leases_release_all() -> int:
    """For a process that is alone with its database, at its start: whoever held a lease is dead."""
    Job.objects.filter(stage__in=RUNNING).update(lease=None, lease_until=None)
    IndexGeneration.objects.update(lease=None, lease_until=None)
    return dropped_requeue()
