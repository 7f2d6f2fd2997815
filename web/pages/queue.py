"""The queue in words: what is being read and how far it is, who waits, and what comes next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Min

from cairn.access.models import Role
from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from ingestion.models import RUNNING, Job, JobQuerySet, Lane, Stage
from ingestion.progress import Standing, standings

SHOWN: Final = 20
LANES: Final = {Lane.INTERACTIVE: "Single files", Lane.BULK: "Imports"}
DOING: Final = {
    Stage.PARSING: "Reading",
    Stage.CHUNKING: "Cutting into passages",
    Stage.EMBEDDING: "Embedding",
    Stage.INDEXING: "Indexing",
}
SHORTEST: Final = 5.0  # seconds that are worth telling


@dataclass(frozen=True, slots=True)
class Work:
    job: UUID
    document: UUID
    title: str
    base: str
    username: str
    line: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    lane: str
    username: str
    jobs: int
    since: datetime


def editable_jobs(principal: Principal) -> JobQuerySet:
    return Job.objects.filter(version__document__in=documents_for(principal, role=Role.EDITOR))


def queue_now(principal: Principal) -> dict[str, Any]:
    jobs = editable_jobs(principal)
    # Interactive jobs go first, and "interactive" comes after "bulk".
    following = jobs.queued().order_by("-lane", "turn", "created_at", "id")
    return {
        "running": _works(jobs.filter(stage__in=RUNNING).order_by("started_at")),
        "following": _works(following),
        "waiting": [_waiting(row) for row in _waiting_rows(jobs)],
    }


def _waiting_rows(jobs: JobQuerySet) -> Iterable[Mapping[str, Any]]:
    groups = jobs.queued().order_by().values("lane", "user__username")
    return groups.annotate(jobs=Count("id"), since=Min("created_at")).order_by("-lane", "since")


def _waiting(row: Mapping[str, Any]) -> Waiting:
    return Waiting(LANES[Lane(row["lane"])], row["user__username"] or "", row["jobs"], row["since"])


def _works(jobs: JobQuerySet) -> list[Work]:
    rows = list(jobs.select_related("version__document__knowledge_base", "user")[:SHOWN])
    places = standings(rows)
    return [_work(row, places[row.id]) for row in rows]


def _work(job: Job, place: Standing) -> Work:
    document = job.version.document
    return Work(
        job=job.id,
        document=document.id,
        title=document.title,
        base=document.knowledge_base.name,
        username=job.user.username if job.user else "",
        line=job_line(job, place),
        done=job.done,
        total=job.total,
    )


def job_line(job: Job, place: Standing) -> str:
    """`Embedding 40 of 260, 12 per second, about 18 s left`, as the scripts say it while it goes on."""
    if place.position:
        left = f", done in about {duration(place.eta)}" if place.eta and place.eta > SHORTEST else ""
        again = ", after a failed attempt" if job.not_before else ""
        return f"Number {place.position:,} in the queue{again}{left}"
    counted = f" {job.done:,} of {job.total:,}" if job.total else ""
    rate = f", {place.rate:,.0f} per second" if place.rate and place.rate >= 1 else ""
    left = f", about {duration(place.eta)} left" if place.eta and place.eta > SHORTEST else ""
    return DOING.get(Stage(job.stage), "Waiting") + counted + rate + left


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    count, unit = (seconds / 60, "minute") if seconds < 5400 else (seconds / 3600, "hour")
    return f"{count:,.0f} {unit}{'' if round(count) == 1 else 's'}"
