"""Celery tasks that call the services."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import Task, shared_task

from cairn.errors import Unavailable
from cairn.library.models import Document
from ingestion import broker
from ingestion.erasure import documents, retention, sqlite_wal
from ingestion.gaps import asker_notices, retry, verified_answers
from ingestion.indexing.cleanup import refresh_stale
from ingestion.jobs import lifecycle, sweeper
from ingestion.models import Lane
from ingestion.pipeline import run
from ingestion.reindexing import runner
from ingestion.reindexing.all_generations import AllGenerations
from ingestion.sources import runner as source_runner
from ingestion.watch_folders import services
from retrieval.engine import get_engine
from retrieval.gaps.recorder import gaps_tidy

ERASE_AGAIN_SECONDS = 3


def _renamed_task(name: str, *, formerly: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a task that is also accepted by its name in the previous release.

    During an upgrade, a beat process of that release may still send it.
    """

    def register(function: Callable[[], None]) -> Callable[[], None]:
        shared_task(name=formerly)(function)
        return shared_task(name=name)(function)

    return register


@shared_task(name="ingestion.work")
def work(lane: str, again: bool = False) -> None:
    """Process one job. Pass the message on if it was meant for another job than the claimed one."""
    lease = lifecycle.claim_next(Lane(lane))
    if lease is None:
        return
    if again or lease.lane != lane:
        broker.wake_worker(Lane(lane), again=again)
    run.process(lease)


@shared_task(name="ingestion.wake")
def wake() -> None:
    sweeper.wake()


@shared_task(name="ingestion.erase", bind=True, max_retries=20)
def erase(self: "Task[Any, Any]", receipt: str) -> None:
    try:
        documents.erase(UUID(receipt), AllGenerations(get_engine().index))
    except Unavailable as error:
        raise self.retry(exc=error, countdown=ERASE_AGAIN_SECONDS) from error


@shared_task(name="ingestion.refresh")
def refresh(document: str) -> None:
    row = Document.objects.filter(pk=document).first()
    if row is not None:
        search_engine = get_engine()
        refresh_stale(row, search_engine.index, search_engine.generation)


@shared_task(name="ingestion.sweep")
def sweep(everything: bool = False) -> None:
    age = timedelta(0) if everything else sweeper.AGE
    sweeper.wake(age=age)
    sweeper.sweep(age=age, limit=None if everything else sweeper.BATCH_SIZE)
    sweeper.sweep_leftovers(get_engine().index)
    sqlite_wal.scrub_owed()
    runner.wake()


@shared_task(name="ingestion.reindex")
def reindex() -> None:
    runner.wake()


@_renamed_task("ingestion.apply_retention", formerly="ingestion.retain")
def apply_retention() -> None:
    retention.apply_retention()


@shared_task(name="ingestion.purge_conversations")
def purge_conversations() -> None:
    retention.purge_conversations()


@shared_task(name="ingestion.watch")
def watch(watch: str) -> None:
    services.scan_folder(UUID(watch))


@shared_task(name="ingestion.watch_due")
def watch_due() -> None:
    for due in services.watches_due():
        broker.enqueue_watch(due)


@shared_task(name="ingestion.sources_due")
def sources_due() -> None:
    """Start threads for the tasks of sources: they take hours, and must not delay anything else."""
    source_runner.wake()


@shared_task(name="ingestion.expire")
def expire() -> None:
    verified_answers.answers_expire()


@_renamed_task("ingestion.retry_gaps", formerly="ingestion.gaps_try")
def retry_gaps() -> None:
    retry.retry_gaps()


@_renamed_task("ingestion.notify_askers", formerly="gaps.tell")
def notify_askers() -> None:
    gaps_tidy()
    asker_notices.notify_askers()
