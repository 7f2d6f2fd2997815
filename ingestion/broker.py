"""Messages to workers through the broker. The sweeper repeats lost ones.

Jobs are rows, created by `ingestion.documents.submit`; a message only tells workers to look for them.
"""

import logging
from typing import Final
from uuid import UUID

from kombu.exceptions import OperationalError

from cairn.celery import app
from cairn.errors import Unavailable
from ingestion.models import Lane

log = logging.getLogger(__name__)


INTERACTIVE, BULK, MAINTENANCE, WATCHES = "interactive", "bulk", "maintenance", "watches"
"""Maintenance, such as an erasure, is short and must not wait behind an import; looking at a watched folder
is long, and must wait neither behind one nor hold up anything else."""
MODEL_TESTS: Final = "model_tests"
"""Red team runs and comparisons take hours, and mails must not wait for them."""


def send(task: str, where: str, *args: object) -> None:
    try:
        app.send_task(task, args=args, queue=where, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("cannot send %s%s now, the sweeper will: %s", task, args, type(error).__name__)


def send_private(task: str, where: str, *args: object) -> None:
    """Send a message that nobody repeats, with arguments that no log may contain. Raises Unavailable."""
    try:
        app.send_task(task, args=args, queue=where, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("cannot send %s: %s", task, type(error).__name__)
        raise Unavailable from error


def wake_worker(lane: Lane, *, again: bool = False) -> None:
    """Wake a worker, which claims the next job. With `again` it wakes another worker in turn."""
    send("ingestion.work", lane.value, lane.value, again)


def enqueue_erasure(receipt: UUID) -> None:
    send("ingestion.erase", MAINTENANCE, str(receipt))


def enqueue_refresh(document: UUID) -> None:
    send("ingestion.refresh", MAINTENANCE, str(document))


def enqueue_watch(watch: UUID) -> None:
    send("ingestion.watch", WATCHES, str(watch))


def wake_sources() -> None:
    """Let the process that receives the message start the tasks of sources that are due."""
    send("ingestion.sources_due", WATCHES)


def enqueue_reindex() -> None:
    """Wake the reindexing thread of the process that receives the message."""
    send("ingestion.reindex", MAINTENANCE)


def ping() -> bool:
    """Check that the broker is reachable. Raises if it is not."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
    return True
