"""The job queue as shown on pages: running jobs, waiting users, and next jobs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Min
from django.utils.translation import gettext, gettext_noop, ngettext

from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.accounts.models import User
from ingestion.jobs.progress import QueueStatus, queue_statuses
from ingestion.models import RUNNING, Job, JobQuerySet, Lane, Stage
from web.i18n.localize import number

SHOWN: Final = 20
LANES: Final = {Lane.INTERACTIVE: gettext_noop("Single files"), Lane.BULK: gettext_noop("Imports")}
DOING: Final = {
    Stage.PARSING: gettext_noop("Reading"),
    Stage.CHUNKING: gettext_noop("Splitting into passages"),
    Stage.EMBEDDING: gettext_noop("Embedding"),
    Stage.INDEXING: gettext_noop("Indexing"),
}
SHORTEST: Final = 5.0  # seconds that are worth telling


@dataclass(frozen=True, slots=True)
class Work:
    job: UUID
    document: UUID
    title: str
    base: str
    requested_by: str
    line: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    lane: str
    requested_by: str
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
        "waiting": _list_waiting(jobs),
    }


def _list_waiting(jobs: JobQuerySet) -> list[Waiting]:
    groups = jobs.queued().order_by().values("lane", "user")
    rows = list(groups.annotate(jobs=Count("id"), since=Min("created_at")).order_by("-lane", "since"))
    users = User.objects.in_bulk([row["user"] for row in rows if row["user"]])
    return [_waiting(row, users.get(row["user"])) for row in rows]


def _waiting(row: Mapping[str, Any], user: User | None) -> Waiting:
    lane = gettext(LANES[Lane(row["lane"])])
    return Waiting(lane, user.label if user else "", row["jobs"], row["since"])


def _works(jobs: JobQuerySet) -> list[Work]:
    rows = list(jobs.select_related("version__document__knowledge_base", "user")[:SHOWN])
    places = queue_statuses(rows)
    return [_work(row, places[row.id]) for row in rows]


def _work(job: Job, place: QueueStatus) -> Work:
    document = job.version.document
    return Work(
        job=job.id,
        document=document.id,
        title=document.title,
        base=document.knowledge_base.name,
        requested_by=job.user.label if job.user else "",
        line=job_line(job, place),
        done=job.done,
        total=job.total,
    )


def job_line(job: Job, place: QueueStatus) -> str:
    """Format progress like the scripts: `Embedding 40 of 260, 12 per second, about 18 s left`."""
    if place.position:
        return ", ".join(_describe_waiting(job, place))
    return ", ".join(_describe_running(job, place))


def _describe_waiting(job: Job, place: QueueStatus) -> Iterable[str]:
    yield gettext("Number {n} in the queue").format(n=number(place.position or 0))
    if job.not_before:
        yield gettext("after a failed attempt")
    if place.eta and place.eta > SHORTEST:
        yield gettext("ready in about {time}").format(time=duration(place.eta))


def _describe_running(job: Job, place: QueueStatus) -> Iterable[str]:
    doing = gettext(DOING.get(Stage(job.stage), gettext_noop("Waiting")))
    counted = gettext("{doing} {done} of {total}")
    yield counted.format(doing=doing, done=number(job.done), total=number(job.total)) if job.total else doing
    if place.rate and place.rate >= 1:
        yield gettext("{n} per second").format(n=number(place.rate, 0))
    if place.eta and place.eta > SHORTEST:
        yield gettext("about {time} left").format(time=duration(place.eta))


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        minutes = round(seconds / 60)
        return ngettext("{n} minute", "{n} minutes", minutes).format(n=number(minutes))
    hours = round(seconds / 3600)
    return ngettext("{n} hour", "{n} hours", hours).format(n=number(hours))
