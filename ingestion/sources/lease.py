"""Leases on the tasks of sources. Each change that a source lists renews one, so that a source that stops
responding loses it."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from cairn.errors import CairnError, PermanentError, TransientError
from cairn.messages import CodedMessage
from ingestion.jobs.lifecycle import stopping
from ingestion.models import SourceSchedule

SOURCE_LEASE: Final = timedelta(minutes=5)
"""A source that lists nothing for so long has stopped responding."""
RENEW_SECONDS: Final = 15.0
FIRST_PAUSE: Final = timedelta(minutes=1)
REFUSED_PAUSE: Final = timedelta(hours=1)
"""Longer, since repeated attempts with a wrong password lock accounts."""
LONGEST_PAUSE: Final = timedelta(hours=12)
LONGEST_DELAY: Final = timedelta(minutes=1)
"""How far ahead a run can be requested."""
CLOCK_STEP: Final = timedelta(seconds=1)
"""More than the difference between two readings of the time at one moment."""


class SourceLeaseEnded(CairnError):
    """The run has to stop: shutdown, a paused or deleted source, or another worker that took over."""


def free_schedules() -> "QuerySet[SourceSchedule]":
    """Schedules that no worker runs. Leases too far in the future come from a wrong clock."""
    leased = Q(lease__isnull=False, lease_until__gte=Now(), lease_until__lte=Now() + 2 * SOURCE_LEASE)
    return SourceSchedule.objects.exclude(leased)


def pause_after(failures: int, error: CairnError) -> timedelta:
    """Return how long to wait after so many failed runs in a row."""
    first = REFUSED_PAUSE if isinstance(error, PermanentError) else FIRST_PAUSE
    pause = min(first * (1 << min(failures - 1, 20)), LONGEST_PAUSE)
    asked = timedelta(seconds=error.retry_after) if isinstance(error, TransientError) else timedelta()
    return max(pause, min(asked, LONGEST_PAUSE))


@dataclass(slots=True)
class SourceLease:
    """The right to run a task of a source. `renewed` and `seen` are when it was renewed, and when the source
    last responded."""

    schedule: SourceSchedule
    token: uuid.UUID
    renewed: float = float("-inf")
    seen: float = float("inf")

    @property
    def _rows(self) -> "QuerySet[SourceSchedule]":
        return SourceSchedule.objects.filter(pk=self.schedule.pk, lease=self.token)

    def renew(self, now: float) -> None:
        """Renew the lease, if it was a while ago. Raises SourceLeaseEnded if the run must stop."""
        if stopping.is_set():
            raise SourceLeaseEnded
        since, self.seen = now - self.seen, now
        if since > SOURCE_LEASE.total_seconds():
            raise TransientError(CodedMessage("source_stuck"))
        if now - self.renewed >= RENEW_SECONDS:
            self.require()
            self.renewed = now

    def require(self) -> None:
        """Renew the lease now. Raises SourceLeaseEnded unless it is still ours and the source enabled."""
        enabled = self._rows.filter(source__enabled=True, source__deleted_at=None, lease_until__gte=Now())
        live = SourceSchedule.objects.filter(pk__in=enabled.values("pk"), lease=self.token)
        if stopping.is_set() or not live.update(lease_until=Now() + SOURCE_LEASE):
            raise SourceLeaseEnded

    def record_success(self, result: dict[str, Any], warning: str) -> None:
        """Record a run that ended, with a warning if parts of the source could not be read."""
        self._end(
            result=result, error=warning, failures=0, refused=False, not_before=None, succeeded_at=Now()
        )

    def record_failure(self, result: dict[str, Any], error: CairnError) -> None:
        failures = self.schedule.failures + 1
        pause = pause_after(failures, error)
        self._end(
            result=result,
            error=error.message,
            failures=failures,
            refused=isinstance(error, PermanentError),
            not_before=Now() + pause,
        )

    def release(self) -> None:
        """Release the task without a result, such as at shutdown: another worker continues immediately."""
        self._rows.update(lease=None, lease_until=None, requested_at=Now())

    def _end(self, **fields: Any) -> None:
        self._rows.update(lease=None, lease_until=None, finished_at=Now(), **fields)


def claim_schedule(schedule_id: int) -> SourceLease | None:
    """Claim a due task, or return None if another worker runs it or it isn't due.

    A worker whose lease lapsed was killed, or its source stopped responding. That counts as a failure, and
    from the second one on the task waits.
    """
    with transaction.atomic():
        rows = _enabled_schedules().select_for_update(of=("self",), skip_locked=True)
        row = rows.filter(pk=schedule_id).first()
        if row is None or not _is_due(row):
            return None
        if row.lease is not None and not _continue_after_lapse(row):
            return None
        token = uuid.uuid4()
        SourceSchedule.objects.filter(pk=row.pk).update(
            lease=token, lease_until=Now() + SOURCE_LEASE, started_at=Now(), requested_at=None
        )
    row.refresh_from_db()
    return SourceLease(row, token)


def _continue_after_lapse(row: SourceSchedule) -> bool:
    stuck = TransientError(CodedMessage("source_stuck"))
    row.failures += 1
    wait = row.failures > 1
    SourceSchedule.objects.filter(pk=row.pk).update(
        lease=None,
        lease_until=None,
        failures=row.failures,
        refused=False,
        error=stuck.message,
        not_before=Now() + pause_after(row.failures, stuck) if wait else None,
    )
    return not wait


def due_schedules() -> list[SourceSchedule]:
    """Return the free schedules whose time has come."""
    return [row for row in _enabled_schedules().order_by("id") if _is_due(row)]


def _enabled_schedules() -> "QuerySet[SourceSchedule]":
    enabled = Q(source__enabled=True, source__deleted_at=None, source__knowledge_base__deleted_at=None)
    return free_schedules().filter(enabled).annotate(now=Now())


def _is_due(row: SourceSchedule) -> bool:
    """Return whether the task should run now. `row` is annotated with the database's time."""
    now: datetime = row.now  # type: ignore[attr-defined]
    at = next_run(row, now)
    return at is None or at <= now


def next_run(row: SourceSchedule, now: datetime) -> datetime | None:
    """Return when the task runs next, None for as soon as a worker is free.

    Times in the future come from a wrong clock and count as past.
    """
    if row.requested_at and now + CLOCK_STEP < row.requested_at <= now + LONGEST_DELAY:
        return row.requested_at
    if row.requested_at or row.lease:
        return None
    if row.failures:
        waits = row.not_before is not None and row.not_before <= now + 2 * LONGEST_PAUSE
        return row.not_before if waits else None
    if row.finished_at is None or row.finished_at > now:
        return None
    return row.finished_at + timedelta(seconds=row.every_seconds)


def is_running(schedule: SourceSchedule, now: datetime) -> bool:
    return (
        schedule.lease is not None
        and schedule.lease_until is not None
        and now <= schedule.lease_until <= now + 2 * SOURCE_LEASE
    )
