"""The thread of this process that works on generations, while there is something to do."""

import logging
import threading
from typing import Final

from django.db import DatabaseError, connection

from cairn.errors import CairnError, TransientError
from ingestion.faults import Fault, fault_point
from ingestion.lifecycle import stopping
from ingestion.receipts import receipts_close
from ingestion.reindexing.building import failed, work_on
from ingestion.reindexing.lease import Ended, GenerationLease, claim

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 5.0
_END_SECONDS: Final = 2.0


class Runner:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        with self._lock:
            self._wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="reindexing", daemon=True)
                self._thread.start()

    def join(self, timeout: float) -> None:
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def _run(self) -> None:
        try:
            while self._goes_on():
                work_all()
        finally:
            connection.close()

    def _goes_on(self) -> bool:
        with self._lock:
            wanted, self._wanted = self._wanted, False
            if not wanted:
                self._thread = None
            return wanted


def work_all() -> None:
    """In this thread."""
    try:
        while not stopping.is_set() and (lease := claim()):
            if not _worked(lease):
                stopping.wait(_PAUSE_SECONDS)
    except DatabaseError as error:  # the sweeper wakes it again
        log.warning("reindexing: %s", type(error).__name__)


def _worked(lease: GenerationLease) -> bool:
    """False if it is worth another attempt after a while."""
    try:
        work_on(lease)
    except Ended:
        log.info("index generation %s: put aside", lease.generation.name)
    except (TransientError, DatabaseError) as error:
        log.warning("index generation %s: %s, again later", lease.generation.name, type(error).__name__)
        return False
    except CairnError as error:
        log.warning("index generation %s: %s", lease.generation.name, error.message)
        failed(lease, error)
    except Exception as error:  # the boundary of a thread: the row says what happened
        log.exception("index generation %s failed", lease.generation.name)
        failed(lease, CairnError(f"Unexpected: {type(error).__name__}. The log has the details."))
    finally:
        lease.release()
    fault_point(Fault.REWRITE_BEFORE_RECEIPTS)
    receipts_close()
    return True


_runner: Final = Runner()


def wake() -> None:
    """Something may be to do. The process that is asked does it, if no other one is on it."""
    _runner.wake()


def close() -> None:
    """When the process is stopping: what is half done is taken up at the next start."""
    _runner.join(_END_SECONDS)
