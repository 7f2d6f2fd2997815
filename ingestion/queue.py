"""Telling workers that there is work. A message that gets lost is sent again by the sweeper."""

import logging
from uuid import UUID

from kombu.exceptions import OperationalError

from cairn.celery import app

log = logging.getLogger(__name__)


def _send(task: str, identity: UUID) -> None:
    try:
        app.send_task(task, args=[str(identity)], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("%s for %s not sent, the sweeper will: %s", task, identity, type(error).__name__)


def enqueue_job(job: UUID) -> None:
    _send("ingestion.run", job)


def enqueue_erasure(receipt: UUID) -> None:
    _send("ingestion.erase", receipt)


def enqueue_refresh(document: UUID) -> None:
    _send("ingestion.refresh", document)


def ping() -> bool:
    """Whether the broker takes messages."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
    return True
