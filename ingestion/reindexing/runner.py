"""The thread of this process that works on generations while there is work."""

import logging
import threading
from typing import Final

from django.db import DatabaseError, connection

from cairn.errors import CairnError, TransientError
from ingestion.erasure.receipts import receipts_close
from ingestion.failpoints import Fault, fault_point
from ingestion.jobs.lifecycle import stopping
from ingestion.reindexing.build import record_failure, work_on
from ingestion.reindexing.lease import GenerationLease, LeaseEnded, claim

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 5.0
_END_SECONDS: Final = 2.0


class Runner:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake_requested = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        with self._lock:
            self._wake_requested = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="reindexing", daemon=True)
                self._thread.start()

    def join(self, timeout: float) -> None:
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def _run(self) -> None:
        try:
            while self._take_request():
                work_all()
        finally:
            connection.close()

    def _take_request(self) -> bool:
        with self._lock:
            requested, self._wake_requested = self._wake_requested, False
            if not requested:
                self._thread = None
            return requested


def work_all() -> None:
    """Work on generations in this thread until none is due."""
    try:
        while not stopping.is_set() and (lease := claim()):
            if not _run_lease(lease):
                stopping.wait(_PAUSE_SECONDS)
    except DatabaseError as error:  # the sweeper wakes it again
        log.warning("reindexing failed: %s", type(error).__name__)


def _run_lease(lease: GenerationLease) -> bool:
    """Work on one generation. Returns False if it should be retried after a pause."""
    try:
        work_on(lease)
    except LeaseEnded:
        log.info("index generation %s: lease ended", lease.generation.name)
    except (TransientError, DatabaseError) as error:
        log.warning("index generation %s: %s, retrying later", lease.generation.name, type(error).__name__)
        return False
    except CairnError as error:
        log.warning("index generation %s: %s", lease.generation.name, error.message)
        record_failure(lease, error)
    except Exception as error:  # the boundary of a thread: the row says what happened
        log.exception("index generation %s failed", lease.generation.name)
        record_failure(lease, CairnError(f"Unexpected {type(error).__name__}. See the server log."))
    finally:
        lease.release()
    fault_point(Fault.REWRITE_BEFORE_RECEIPTS)
    receipts_close()
    return True


_runner: Final = Runner()


def wake() -> None:
    """Start the thread unless it is running. Another process may already have the work."""
    _runner.wake()


def close() -> None:
    """Wait for the thread at shutdown. Unfinished work is resumed at the next start."""
    _runner.join(_END_SECONDS)
