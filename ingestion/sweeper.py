"""Finds work that the broker has lost or a worker has dropped."""

import logging
from datetime import timedelta

from django.utils import timezone

from cairn.library.models import Document, DocumentVersion
from ingestion import queue
from ingestion.cleanup import remove_chunks
from ingestion.models import Job, Receipt, ReceiptState
from retrieval.index.protocol import VectorIndex

log = logging.getLogger(__name__)

AGE = timedelta(seconds=15)
AT_ONCE = 64


def sweep(*, age: timedelta = AGE, at_once: int | None = AT_ONCE) -> int:
    """Re-enqueues what has waited longer than `age`, oldest first; how many.

    Something that is only waiting its turn may be enqueued twice: claiming makes that harmless.
    """
    before = timezone.now() - age
    jobs = Job.objects.unheld(timezone.now()).filter(updated_at__lte=before)
    receipts = Receipt.objects.filter(state=ReceiptState.PENDING, created_at__lte=before)
    stale = Document.objects.filter(index_stale=True, deleted_at=None, updated_at__lte=before)
    found = 0
    for rows, enqueue in (
        (jobs, queue.enqueue_job),
        (receipts, queue.enqueue_erasure),
        (stale, queue.enqueue_refresh),
    ):
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
    return Job.objects.open().exclude(lease=None).update(lease=None, lease_until=None)
