"""Queue positions of jobs, their processing rate and estimated time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from cairn.settings import environment
from ingestion.models import LONGEST_PAUSE, RUNNING, Job, JobQuerySet, Lane, Stage

_RECENT: Final = timedelta(hours=1)
_SAMPLE: Final = 50


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Queue position and estimates of a job.

    `position` 1 is next, None if running or ended. `eta` is in seconds; `rate` in pages, chunks or points per
    second, depending on the stage. None if unknown.
    """

    position: int | None = None
    eta: float | None = None
    rate: float | None = None


def queue_statuses(jobs: Sequence[Job]) -> dict[UUID, QueueStatus]:
    """Return statuses by job id. The number of queries does not depend on the number of jobs."""
    queued = [job for job in jobs if job.stage == Stage.QUEUED]
    timed = any(job.stage in RUNNING or job.not_before for job in jobs)
    now = _database_now() if timed else timezone.now()
    found = {job.id: running_status(job, now) for job in jobs}
    if queued:
        typical = _typical_seconds()
        for job, place in _places(queued):
            found[job.id] = QueueStatus(place, _estimate_wait(job, place, typical, now))
    return found


def _database_now() -> datetime:
    """Return the time of the database, whose clock wrote the jobs' times."""
    return Job.objects.order_by().values_list(Now(), flat=True).first() or timezone.now()


def running_status(job: Job, now: datetime) -> QueueStatus:
    """Estimate from the rate of the current stage."""
    elapsed = (now - job.stage_since).total_seconds()
    if job.ended or not job.done or elapsed <= 0:
        return QueueStatus()
    rate = job.done / elapsed
    return QueueStatus(None, round(max(job.total - job.done, 0) / rate, 1), round(rate, 2))


def _places(jobs: Sequence[Job]) -> Iterable[tuple[Job, int]]:
    """Yield queue positions. Interactive jobs go first; within a lane, in the order of claiming."""
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        asked = sorted((job for job in jobs if job.lane == lane), key=_key)
        if asked:
            yield from _places_in_lane(lane, asked)


def _places_in_lane(lane: Lane, asked: Sequence[Job]) -> Iterable[tuple[Job, int]]:
    """Count up to the first given job, and from there to each of the others, as they are mostly adjacent."""
    first = asked[0]
    here = Q(lane=lane) & _before(*_key(first))
    earlier = here if lane == Lane.INTERACTIVE else Q(lane=Lane.INTERACTIVE) | here
    before = Job.objects.queued().filter(earlier).count()
    yield first, before + 1
    if len(asked) == 1:
        return
    between = (
        _waiting(lane)
        .exclude(_before(*_key(first)))
        .filter(_before(OuterRef("turn"), OuterRef("created_at"), OuterRef("pk")))
        .order_by()
        .values("lane")
        .annotate(count=Count("pk"))
        .values("count")
    )
    rows = Job.objects.filter(pk__in=[job.pk for job in asked[1:]])
    counts = dict(rows.values_list("pk", Coalesce(Subquery(between), 0)))
    yield from ((job, before + counts.get(job.pk, 0) + 1) for job in asked[1:])


def _waiting(lane: Lane) -> JobQuerySet:
    return Job.objects.queued().filter(lane=lane)


def _key(job: Job) -> tuple[int, datetime, UUID]:
    return job.turn, job.created_at, job.pk


def _before(turn: object, created_at: object, pk: object) -> Q:
    same_turn = Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=pk)
    return Q(turn__lte=turn) & (Q(turn__lt=turn) | same_turn)


def _estimate_wait(job: Job, place: int, typical: float | None, now: datetime) -> float | None:
    if typical is None:
        return None
    pause = job.not_before - now if job.not_before else timedelta(0)
    remaining_pause = pause.total_seconds() if pause <= LONGEST_PAUSE else 0.0  # else it counts as over
    return round(max(typical * place, remaining_pause), 1)


def _typical_seconds() -> float | None:
    """Return the recent seconds between finished jobs while workers were busy, or None."""
    rows = Job.objects.filter(stage=Stage.READY, updated_at__gt=Now() - _RECENT)
    times = list(rows.order_by("-updated_at").values_list("started_at", "updated_at")[:_SAMPLE])
    spans = [(began, ended) for began, ended in times if began is not None]
    if not spans:
        return None
    each = sum((ended - began).total_seconds() for began, ended in spans) / len(spans)
    overall = (max(ended for _, ended in spans) - min(began for began, _ in spans)).total_seconds()
    return max(0.0, min(each / environment().worker_threads, overall / len(spans)))
