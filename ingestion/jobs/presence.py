"""Workers and beat processes report in the database that they are running."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import DatabaseError, connection
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from ingestion.models import ProcessKind, RunningProcess

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 10.0
SILENT_AFTER: Final = timedelta(seconds=45)
FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A process that was killed is reported for this long: by then someone has noticed, or it was meant."""


class Presence:
    """Renews the row of one worker or beat from a thread, for as long as `is_alive` returns True."""

    def __init__(
        self, kind: ProcessKind, *, queues: Sequence[str] = (), is_alive: Callable[[], bool] = lambda: True
    ) -> None:
        self._id: UUID = uuid4()
        self._kind, self._queues, self._is_alive = kind, list(queues), is_alive
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{kind}-presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Remove the row, so that this process isn't reported as missing."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._report()
            while not self._done.wait(INTERVAL_SECONDS):
                self._report()
            self._attempt(lambda: RunningProcess.objects.filter(pk=self._id).delete())
        finally:
            connection.close()

    def _report(self) -> None:
        if self._is_alive():
            self._attempt(self._renew)

    def _renew(self) -> None:
        if RunningProcess.objects.filter(pk=self._id).update(seen_at=Now()):
            return
        RunningProcess.objects.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()
        RunningProcess.objects.create(
            id=self._id,
            kind=self._kind,
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            queues=self._queues,
            started_at=Now(),
            seen_at=Now(),
        )

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except DatabaseError as error:  # the next report may succeed
            log.warning("presence of the %s not recorded: %s", self._kind, type(error).__name__)
            connection.close()


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """A process that has reported. `is_silent`: it has stopped reporting without being shut down."""

    kind: ProcessKind
    name: str
    started_at: datetime
    seen_at: datetime
    is_silent: bool


def load_processes(kind: ProcessKind) -> list[ProcessReport]:
    """Return the processes of the last hour, those that started first in front."""
    silent = ExpressionWrapper(Q(seen_at__lt=Now() - SILENT_AFTER), output_field=BooleanField())
    rows = RunningProcess.objects.filter(kind=kind, seen_at__gte=Now() - FORGOTTEN_AFTER)
    return [
        ProcessReport(kind, f"{row.host}:{row.pid}", row.started_at, row.seen_at, row.is_silent)
        for row in rows.annotate(is_silent=silent)
    ]
