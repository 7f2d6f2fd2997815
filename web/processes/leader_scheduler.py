"""The beat process. Several may run: one schedules, the others wait to take over."""

import logging
import time
from typing import Any, Final
from uuid import UUID, uuid4

from celery import beat
from django.db import DatabaseError, connections

from ingestion.beat_lease import LEASE_DURATION, acquire_beat_lease

log = logging.getLogger(__name__)

_RENEW_SECONDS: Final = LEASE_DURATION.total_seconds() / 3
_WAIT_SECONDS: Final = 1.0


class Beat(beat.Service):
    """Beat with its schedule in memory: the default writes a file into the working directory."""

    scheduler_cls = beat.Scheduler  # type: ignore[assignment] # annotated with the default one


class TurnTaking(beat.Scheduler):
    """Scheduler that sends nothing while another process has the lease, or the database is unavailable."""

    own: Final[UUID] = uuid4()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._asked = 0.0
        self._mine = False

    def tick(self, *args: Any, **options: Any) -> float:
        if not self._is_leader():
            return _WAIT_SECONDS
        wait: float = super().tick(*args, **options)
        return wait

    def _is_leader(self) -> bool:
        if self._mine and time.monotonic() - self._asked < _RENEW_SECONDS:
            return True
        self._asked = time.monotonic()
        before, self._mine = self._mine, _has_lease(self.own)
        if self._mine != before:
            log.info("this beat process is now %s", "the leader" if self._mine else "on standby")
        return self._mine


def _has_lease(own: UUID) -> bool:
    try:
        return acquire_beat_lease(own)
    except DatabaseError as error:
        log.warning("cannot acquire the beat lease: %s", type(error).__name__)
        return False
    finally:
        connections.close_all()


class SharedBeat(Beat):
    scheduler_cls = TurnTaking
