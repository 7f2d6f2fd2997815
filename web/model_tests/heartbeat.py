"""Reports that the worker of a red team run or comparison is alive, also during a long attack or question."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from retrieval.evaluation.models import TrialState

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
SILENT_AFTER: Final = timedelta(seconds=45)
"""As long as the lease of a job: a worker that has been silent for longer is gone."""
UNCLAIMED_AFTER: Final = timedelta(minutes=15)
"""How long a run waits for a worker."""


@contextmanager
def report_alive(rows: "QuerySet[Any]") -> Iterator[None]:
    """Renew `alive_at` of the rows from a thread."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(rows, done), name="trial-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(rows: "QuerySet[Any]", done: threading.Event) -> None:
    try:
        while not done.wait(BEAT_SECONDS):
            try:
                rows.update(alive_at=timezone.now())
            except DatabaseError as error:  # the next beat may succeed
                log.warning("heartbeat not recorded: %s", type(error).__name__)
                connection.close()
    finally:
        connection.close()


def is_abandoned() -> Q:
    """Return the condition of rows that no worker carries out any more, or has taken on in time."""
    now = timezone.now()
    silent = Q(started_at__isnull=False, alive_at__lt=now - SILENT_AFTER)
    unclaimed = Q(started_at=None, alive_at__lt=now - UNCLAIMED_AFTER)
    return Q(state=TrialState.RUNNING) & (silent | unclaimed)
