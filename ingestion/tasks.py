"""Celery's doors to the services."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import Task, shared_task

from cairn.errors import Unavailable
from cairn.library.models import Document
from ingestion import erasure, pipeline, sweeper
from ingestion.cleanup import refresh_index
from retrieval.engine import engine

ERASE_AGAIN_SECONDS = 3


@shared_task(name="ingestion.run")
def run(job: str) -> None:
    pipeline.run(UUID(job))


@shared_task(name="ingestion.erase", bind=True, max_retries=20)
def erase(self: "Task[Any, Any]", receipt: str) -> None:
    try:
        erasure.erase(UUID(receipt), engine().index)
    except Unavailable as error:
        raise self.retry(exc=error, countdown=ERASE_AGAIN_SECONDS) from error


@shared_task(name="ingestion.refresh")
def refresh(document: str) -> None:
    row = Document.objects.filter(pk=document, index_stale=True).first()
    if row is not None:
        refresh_index(row, engine().index)


@shared_task(name="ingestion.sweep")
def sweep(everything: bool = False) -> None:
    sweeper.sweep(
        age=timedelta(0) if everything else sweeper.AGE, at_once=None if everything else sweeper.AT_ONCE
    )
    sweeper.sweep_leftovers(engine().index)
