"""Threads of this process that run the tasks of sources.

Content takes hours, so that it has threads of its own: access and people must not wait for it.
"""

import logging
import threading
import time
from typing import Final

from django.db import DatabaseError, connection

from ingestion.jobs.lifecycle import stopping
from ingestion.models import Source, SourceSchedule, SourceTask
from ingestion.sources.lease import SOURCE_LEASE, SourceLease, claim_schedule, due_schedules
from ingestion.sources.removal import remove_deleted_sources
from ingestion.sources.sync.run import run_leased

log = logging.getLogger(__name__)

MAX_THREADS: Final = 2
"""Threads for syncs of content, and as many for all other tasks."""
_END_SECONDS: Final = 2.0


class SourceRunner:
    """A thread for each task that runs. One whose source stopped responding doesn't count: it has lost its
    lease, and ends when its connection does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, tuple[bool, SourceLease]] = {}
        self._removal: threading.Thread | None = None

    def wake(self) -> None:
        """Start the tasks that are due, as far as there are free threads."""
        self._start_removal()
        for schedule in due_schedules():
            if not stopping.is_set():
                self._start(schedule)

    def join(self, timeout: float) -> None:
        give_up = time.monotonic() + timeout
        for thread in list(self._running):
            thread.join(max(0.0, give_up - time.monotonic()))

    def _start(self, schedule: SourceSchedule) -> None:
        is_content = schedule.task == SourceTask.CONTENT
        with self._lock:
            if self._count(is_content=is_content) >= MAX_THREADS:
                return
            lease = claim_schedule(schedule.pk)
            if lease is None:
                return
            thread = threading.Thread(target=self._run, args=(lease,), name="source", daemon=True)
            self._running[thread] = (is_content, lease)
            thread.start()

    def _start_removal(self) -> None:
        with self._lock:
            if self._removal is None and Source.objects.exclude(deleted_at=None).exists():
                self._removal = threading.Thread(target=self._remove, name="source-removal", daemon=True)
                self._removal.start()

    def _remove(self) -> None:
        try:
            remove_deleted_sources()
        except DatabaseError as error:  # the next wake tries it again
            log.warning("deleted sources not removed: %s", type(error).__name__)
        finally:
            connection.close()
            self._removal = None

    def _count(self, *, is_content: bool) -> int:
        limit = time.monotonic() - SOURCE_LEASE.total_seconds()
        return sum(each == is_content and lease.seen > limit for each, lease in self._running.values())

    def _run(self, lease: SourceLease) -> None:
        try:
            run_leased(lease)
        except DatabaseError as error:  # the lease lapses, and another run continues
            log.warning("source %s: %s", lease.schedule.source_id, type(error).__name__)
        finally:
            connection.close()
            with self._lock:
                self._running.pop(threading.current_thread(), None)


_runner: Final = SourceRunner()


def wake() -> None:
    _runner.wake()


def close() -> None:
    """Wait for the threads at shutdown. Unfinished work continues after the next start."""
    _runner.join(_END_SECONDS)
