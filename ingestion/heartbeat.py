"""Keeps the leases of the jobs that this process works on, from one thread and in one statement for all."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connection

from ingestion.lifecycle import Lease, renew

log = logging.getLogger(__name__)

SECONDS: Final = 2.0


class Heartbeat:
    """Its thread lives while there are leases to keep."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._leases: dict[UUID, Lease] = {}
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeps(self, lease: Lease) -> Iterator[None]:
        """Meanwhile the lease learns that it is lost, or that its job is to be cancelled."""
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
            held = renew(leases)
        except DatabaseError as error:  # leases outlast several beats
            log.warning("leases not renewed: %s", type(error).__name__)
            connection.close()
            return
        for token, lease in leases.items():
            if token not in held:
                lease.lost.set()
            elif held[token]:
                lease.cancel.set()


heartbeat: Final = Heartbeat()
