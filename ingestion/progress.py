"""Where jobs stand in the queue, how fast they are worked on, and how long they may take."""

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
class Standing:
    """`position` 1 is next, None once it is being worked on. `eta` in seconds and `rate` in pages, chunks or
    points per second, by stage; None if unknown."""

    position: int | None = None
    eta: float | None = None
    rate: float | None = None


def standing(job: Job) -> Standing:
    return standings([job])[job.id]


def standings(jobs: Sequence[Job]) -> dict[UUID, Standing]:
    """By job id; in a few queries, however many jobs are asked about or wait."""
    queued = [job for job in jobs if job.stage == Stage.QUEUED]
    timed = any(job.stage in RUNNING or job.not_before for job in jobs)
    now = _database_now() if timed else timezone.now()
    found = {job.id: _working(job, now) for job in jobs}
    if queued:
        typical = _typical_seconds()
        for job, place in _places(queued):
            found[job.id] = Standing(place, _until(job, place, typical, now))
    return found


def _database_now() -> datetime:
    """By the clock that wrote the jobs' times; that of this process may differ."""
    return Job.objects.order_by().values_list(Now(), flat=True).first() or timezone.now()


def _working(job: Job, now: datetime) -> Standing:
    """From this stage's own pace."""
    elapsed = (now - job.stage_since).total_seconds()
    if job.ended or not job.done or elapsed <= 0:
        return Standing()
    rate = job.done / elapsed
    return Standing(None, round(max(job.total - job.done, 0) / rate, 1), round(rate, 2))


def _places(jobs: Sequence[Job]) -> Iterable[tuple[Job, int]]:
    """Interactive jobs go first; within a lane, as they are claimed."""
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        asked = sorted((job for job in jobs if job.lane == lane), key=_key)
        if asked:
            yield from _places_in_lane(lane, asked)


def _places_in_lane(lane: Lane, asked: Sequence[Job]) -> Iterable[tuple[Job, int]]:
    """Counts up to the first that is asked about, and from there to each: mostly they stand together."""
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


def _until(job: Job, place: int, typical: float | None, now: datetime) -> float | None:
    if typical is None:
        return None
    pause = job.not_before - now if job.not_before else timedelta(0)
    held = pause.total_seconds() if pause <= LONGEST_PAUSE else 0.0  # else it counts as over
    return round(max(typical * place, held), 1)


def _typical_seconds() -> float | None:
    """Seconds from one finished job to the next while the workers are busy; None if none was lately."""
    rows = Job.objects.filter(stage=Stage.READY, updated_at__gt=Now() - _RECENT)
    times = list(rows.order_by("-updated_at").values_list("started_at", "updated_at")[:_SAMPLE])
    spans = [(began, ended) for began, ended in times if began is not None]
    if not spans:
        return None
    each = sum((ended - began).total_seconds() for began, ended in spans) / len(spans)
    overall = (max(ended for _, ended in spans) - min(began for began, _ in spans)).total_seconds()
    return max(0.0, min(each / environment().worker_threads, overall / len(spans)))
