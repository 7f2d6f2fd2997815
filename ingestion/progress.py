"""Where a job stands in the queue, and how long it may take."""

from datetime import timedelta

from django.db.models import Avg, DurationField, ExpressionWrapper, F
from django.utils import timezone

from cairn.settings import environment
from ingestion.models import Job, Stage

_RECENT = timedelta(hours=1)


def queue_position(job: Job) -> int | None:
    """1 is next; None once it is being worked on."""
    if job.stage != Stage.QUEUED:
        return None
    return Job.objects.filter(stage=Stage.QUEUED, created_at__lt=job.created_at).count() + 1


def eta_seconds(job: Job) -> float | None:
    """An estimate from this stage's own rate, or from recent jobs for a queued one; None if unknown."""
    if job.ended:
        return None
    if job.stage == Stage.QUEUED:
        typical = _typical_seconds()
        position = queue_position(job)
        return None if typical is None or position is None else round(typical * position, 1)
    if not job.done:
        return None
    elapsed = (timezone.now() - job.stage_since).total_seconds()
    return round(elapsed / job.done * max(job.total - job.done, 0), 1)


def _typical_seconds() -> float | None:
    """Seconds of one worker's time that a recent job took, shared by the workers."""
    ended = Job.objects.filter(
        stage=Stage.READY, updated_at__gt=timezone.now() - _RECENT, started_at__isnull=False
    )
    spent = ExpressionWrapper(F("updated_at") - F("started_at"), output_field=DurationField())
    mean: timedelta | None = ended.aggregate(mean=Avg(spent))["mean"]
    return None if mean is None else mean.total_seconds() / environment().worker_threads
