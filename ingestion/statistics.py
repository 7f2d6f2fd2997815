"""How many documents became searchable or failed, day by day, and what waits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from uuid import UUID

from django.db.models import Count, Min, Q
from django.db.models.functions import TruncDate

from ingestion.models import Job, JobQuerySet, Stage


@dataclass(frozen=True, slots=True)
class Ended:
    ready: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """`since`: when the one that has waited longest was uploaded."""

    documents: int
    since: datetime | None


def jobs_in(bases: Collection[UUID] | None) -> JobQuerySet:
    """`bases`: None for all of them."""
    jobs = Job.objects.filter(version__document__deleted_at=None)
    return jobs if bases is None else jobs.filter(version__document__knowledge_base__in=bases)


def ended_by_day(jobs: JobQuerySet, days: Sequence[date], begin: int, end: int, zone: tzinfo) -> list[Ended]:
    """`begin` and `end`: the seconds since 1970 between which the days lie."""
    ended = jobs.filter(
        stage__in=(Stage.READY, Stage.FAILED),
        updated_at__gte=datetime.fromtimestamp(begin, UTC),
        updated_at__lt=datetime.fromtimestamp(end, UTC),
    )
    rows = ended.order_by().annotate(day=TruncDate("updated_at", tzinfo=zone)).values("day")
    counted = rows.annotate(
        ready=Count("id", filter=Q(stage=Stage.READY)), failed=Count("id", filter=Q(stage=Stage.FAILED))
    )
    by_day = {row["day"]: Ended(row["ready"], row["failed"]) for row in counted}
    return [by_day.get(day, Ended()) for day in days]


def waiting(jobs: JobQuerySet) -> Waiting:
    found = jobs.queued().aggregate(documents=Count("id"), since=Min("created_at"))
    return Waiting(found["documents"], found["since"])
