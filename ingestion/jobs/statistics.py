"""Daily counts of documents that became searchable or failed, and the size of the queue."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from uuid import UUID

from django.db.models import Count, Min, Q
from django.db.models.functions import TruncDate

from ingestion.models import Job, JobQuerySet, Stage


@dataclass(frozen=True, slots=True)
class EndedCounts:
    ready: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Number of queued documents. `since` is the upload time of the oldest."""

    documents: int
    since: datetime | None


def jobs_in(bases: Collection[UUID] | None) -> JobQuerySet:
    """Jobs of documents in the knowledge bases, or in all of them if `bases` is None."""
    jobs = Job.objects.filter(version__document__deleted_at=None)
    return jobs if bases is None else jobs.filter(version__document__knowledge_base__in=bases)


def count_ended_by_day(
    jobs: JobQuerySet, days: Sequence[date], begin: int, end: int, zone: tzinfo
) -> list[EndedCounts]:
    """Count ended jobs per day. `begin` and `end` bound the days, in seconds since 1970."""
    ended = jobs.filter(
        stage__in=(Stage.READY, Stage.FAILED),
        updated_at__gte=datetime.fromtimestamp(begin, UTC),
        updated_at__lt=datetime.fromtimestamp(end, UTC),
    )
    rows = ended.order_by().annotate(day=TruncDate("updated_at", tzinfo=zone)).values("day")
    counted = rows.annotate(
        ready=Count("id", filter=Q(stage=Stage.READY)), failed=Count("id", filter=Q(stage=Stage.FAILED))
    )
    by_day = {row["day"]: EndedCounts(row["ready"], row["failed"]) for row in counted}
    return [by_day.get(day, EndedCounts()) for day in days]


def waiting(jobs: JobQuerySet) -> QueueCounts:
    found = jobs.queued().aggregate(documents=Count("id"), since=Min("created_at"))
    return QueueCounts(found["documents"], found["since"])
