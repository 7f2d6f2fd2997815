"""Reports that the worker of a red team run or comparison is alive, and looks up whether it is cancelled."""

import logging
import threading
import time
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
LOOK_SECONDS: Final = 1.0
"""How soon a model that is writing stops when the run is cancelled."""


class CancelWatch:
    """Looks up whether a run was ended, by an admin or as abandoned, while its worker is running."""

    def __init__(self, rows: "QuerySet[Any]") -> None:
        self._running = rows.filter(state=TrialState.RUNNING)
        self._ended = False
        self._looked_at = 0.0

    def has_ended(self) -> bool:
        self._ended = self._ended or not self._running.exists()
        self._looked_at = time.monotonic()
        return self._ended

    def has_ended_lately(self) -> bool:
        """Return the same, at most LOOK_SECONDS old: asked for each word that a model writes."""
        return self._ended if time.monotonic() - self._looked_at < LOOK_SECONDS else self.has_ended()


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
