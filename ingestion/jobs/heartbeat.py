"""Renew the leases of all jobs of this process, from one thread and with one statement."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connection

from ingestion.jobs.lifecycle import Lease, renew

log = logging.getLogger(__name__)

SECONDS: Final = 2.0


class Heartbeat:
    """Lease renewal for this process. The thread lives as long as there are leases."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._leases: dict[UUID, Lease] = {}
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def maintain(self, lease: Lease) -> Iterator[None]:
        """Renew the lease in the background, and set its events when it is lost or its job cancelled."""
        self._add(lease)
        try:
            yield
        finally:
            self._drop(lease)

    def _add(self, lease: Lease) -> None:
        with self._lock:
            self._leases[lease.token] = lease
            if self._thread is None:
                self._done = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._done,), name="heartbeat", daemon=True
                )
                self._thread.start()

    def _drop(self, lease: Lease) -> None:
        with self._lock:
            del self._leases[lease.token]
            if self._leases or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._done.set()
        thread.join()

    def _run(self, done: threading.Event) -> None:
        try:
            while not done.wait(self._seconds):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        with self._lock:
            leases = dict(self._leases)
        try:
            renewed = renew(leases)
        except DatabaseError as error:  # leases outlast several beats
            log.warning("leases not renewed: %s", type(error).__name__)
            connection.close()
            return
        for token, lease in leases.items():
            if token not in renewed:
                lease.lost.set()
            elif renewed[token]:
                lease.cancel.set()


heartbeat: Final = Heartbeat()
