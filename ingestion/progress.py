"""Where jobs stand in the queue, and how long they may take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Avg, DurationField, ExpressionWrapper, F
from django.utils import timezone

from cairn.settings import environment
from ingestion.models import Job, Stage

_RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """`position` 1 is next, None once it is being worked on. `eta` in seconds, None if unknown."""

    position: int | None = None
    eta: float | None = None


def standing(job: Job) -> Standing:
    return standings([job])[job.id]


def standings(jobs: Sequence[Job]) -> dict[UUID, Standing]:
    """By job id; at most two queries, however many jobs."""
    found = {job.id: Standing(eta=_time_left(job)) for job in jobs}
    queued = [job.id for job in jobs if job.stage == Stage.QUEUED]
    if queued:
        typical = _typical_seconds()
        waiting = Job.objects.filter(stage=Stage.QUEUED).order_by("created_at", "id")
        positions = {job: place for place, job in enumerate(waiting.values_list("id", flat=True), 1)}
        for job in queued:
            place = positions.get(job)
            found[job] = Standing(place, round(typical * place, 1) if typical and place else None)
    return found


def _time_left(job: Job) -> float | None:
    """From this stage's own rate."""
    if job.ended or not job.done:
        return None
    elapsed = (timezone.now() - job.stage_since).total_seconds()
    return round(elapsed / job.done * max(job.total - job.done, 0), 1)


def _typical_seconds() -> float | None:
    """Seconds that pass per recent job; None if there was none."""
    ended = Job.objects.filter(
        stage=Stage.READY, updated_at__gt=timezone.now() - _RECENT, started_at__isnull=False
    )
    spent = ExpressionWrapper(F("updated_at") - F("started_at"), output_field=DurationField())
    mean: timedelta | None = ended.aggregate(mean=Avg(spent))["mean"]
    return None if mean is None else mean.total_seconds() / environment().worker_threads
