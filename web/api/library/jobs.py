"""Processing jobs of documents, and their progress."""

from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext_noop
from ninja import Query, Router, Status
from ninja.openapi.schema import REF_TEMPLATE
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cairn.access.scope import Principal
from cairn.errors import Rejection
from ingestion.jobs.services import job_cancel, job_retry, jobs_retry
from ingestion.models import ENDED, RUNNING, Lane, Stage
from ingestion.selectors import job_for, jobs_for
from web.api.framework.fields import Body, Id, SomeIds, parse_id_or_no_match, parse_knowledge_base_or_no_match
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.framework.polling_stream import follow
from web.api.schemas import Job
from web.http.authentication import needs, principal_of

router = Router(tags=["Jobs"], by_alias=True)
FOLLOWS = needs("ingest", "manage")
WORKS = needs("ingest")
SHOWN = 50


def stream_of(shape: type[BaseModel], event: str, when: str) -> dict[int, Any]:
    """Build the OpenAPI description of an event stream."""
    schema = shape.model_json_schema(ref_template=REF_TEMPLATE, mode="serialization")
    schema.pop("$defs", None)  # the parts are described where they are answers themselves
    return {
        200: {
            "description": f"`{event}` whenever it changes, {when}; `error` with a problem",
            "content": {"text/event-stream": {"schema": schema}},
        }
    }


class JobQuery(PageQuery):
    model_config = ConfigDict(populate_by_name=True)

    stage: Stage | None = None
    code: Rejection | None = Field(None, description="Why it failed")
    lane: Lane | None = None
    open: bool | None = Field(None, description="true: unfinished jobs; false: finished jobs")
    exhausted: bool = Field(False, description="Only jobs that failed after their last attempt")
    batch: str = Field("", max_length=100, alias="import", description="Only jobs of this import")
    document: str = Field("", max_length=100)
    knowledge_base: str = Field("", max_length=140)

    def conditions(self, principal: Principal) -> dict[str, Any]:
        ids = {"items__batch": self.batch, "version__document": self.document}
        found: dict[str, Any] = {name: parse_id_or_no_match(value) for name, value in ids.items() if value}
        if self.knowledge_base:
            base = parse_knowledge_base_or_no_match(principal, self.knowledge_base)
            found["version__document__knowledge_base"] = base
        options = {"stage": self.stage, "version__error_code": self.code, "lane": self.lane}
        found |= {name: value for name, value in options.items() if value is not None}
        if self.open is not None:
            found["stage__in"] = (Stage.QUEUED, *RUNNING) if self.open else ENDED
        return found


class Again(Body):
    """Filters of failed jobs; cancelled ones are included if `code` is `cancelled`, or they are named."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    code: Rejection | None = None
    knowledge_base: Id | None = None
    batch: Id | None = Field(None, alias="import")
    jobs: SomeIds | None = None

    @model_validator(mode="after")
    def _require_filter(self) -> "Again":
        if not self.model_fields_set:
            raise ValueError(gettext_noop("Enter at least one of code, knowledge_base, import and jobs."))
        return self


class Retried(BaseModel):
    """`skipped`: they had not failed, were superseded by a newer version, or you may not retry them."""

    retried: int
    skipped: int


class Now(BaseModel):
    """The first 50 jobs you may see: running ones, then the next ones."""

    queued: int
    running: int
    failed: int
    jobs: list[Job]


@router.get("", summary="List jobs", response=Page[Job], auth=FOLLOWS)
def job_list(request: HttpRequest, query: Query[JobQuery]) -> Page[Job]:
    """Lists jobs of documents you may read, newest first. `stage=failed` lists those that were given up."""
    principal = principal_of(request)
    rows = jobs_for(principal).filter(**query.conditions(principal))
    rows = rows.exhausted() if query.exhausted else rows
    found = page_of(rows.distinct() if query.batch else rows, query, newest_first=True)
    return Page(items=Job.all_of(found.rows), next_cursor=found.next_cursor)


@router.post("/retry", summary="Retry several jobs", response={202: Retried}, auth=WORKS)
def job_again_all(request: HttpRequest, payload: Again) -> Status[Retried]:
    """Requires the role editor for each job; others are skipped."""
    principal, base = principal_of(request), payload.knowledge_base
    done = jobs_retry(
        principal=principal,
        code=payload.code,
        knowledge_base=None if base is None else parse_knowledge_base_or_no_match(principal, base),
        batch=_id(payload.batch),
        jobs=None if payload.jobs is None else [parse_id_or_no_match(job) for job in payload.jobs],
    )
    return Status(202, Retried(retried=done.retried, skipped=done.skipped))


def _id(value: str | None) -> UUID | None:
    return None if value is None else parse_id_or_no_match(value)


@router.get(
    "/events",
    summary="Follow all open jobs",
    auth=FOLLOWS,
    openapi_extra={"responses": stream_of(Now, "queue", "as long as you listen")},
)
def job_events_all(request: HttpRequest) -> StreamingHttpResponse:
    """Streams server-sent events about all open jobs of documents you may read."""
    return follow(principal_of(request), _now, event="queue", slower=4)


def _now(principal: Principal) -> Now:
    rows = jobs_for(principal)
    running = list(rows.filter(stage__in=RUNNING).order_by("started_at")[:SHOWN])
    queued = rows.filter(stage=Stage.QUEUED)
    # Interactive jobs go first, and "interactive" comes after "bulk".
    following = list(queued.order_by("-lane", "turn", "created_at", "id")[: SHOWN - len(running)])
    return Now(
        queued=queued.count(),
        running=rows.filter(stage__in=RUNNING).count(),
        failed=rows.filter(stage=Stage.FAILED).count(),
        jobs=Job.all_of([*running, *following]),
    )


@router.get("/{job_id}", summary="Get a job", response=Job, auth=FOLLOWS)
def job_get(request: HttpRequest, job_id: str) -> Job:
    """Returns a job with its stage and progress."""
    return Job.of(job_for(principal_of(request), job_id))


@router.post("/{job_id}/retry", summary="Retry a job", response={202: Job}, auth=WORKS)
def job_again(request: HttpRequest, job_id: str) -> Status[Job]:
    """Requires the role editor. Retries the job. 409 unless it failed or was cancelled."""
    principal = principal_of(request)
    job = job_retry(job=job_for(principal, job_id), principal=principal)
    return Status(202, Job.of(job))


@router.post("/{job_id}/cancel", summary="Cancel a job", response={202: Job}, auth=WORKS)
def job_stop(request: HttpRequest, job_id: str) -> Status[Job]:
    """Requires the role editor. Cancels the job within seconds. 409 if it has ended."""
    principal = principal_of(request)
    job = job_cancel(job=job_for(principal, job_id), principal=principal)
    return Status(202, Job.of(job))


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    auth=FOLLOWS,
    openapi_extra={"responses": stream_of(Job, "progress", "until it ends")},
)
def job_events(request: HttpRequest, job_id: str) -> StreamingHttpResponse:
    """Streams server-sent events until the job ends or is no longer visible to you."""
    return follow(principal_of(request), partial(_job, job_id=job_id), over=_has_ended)


def _job(principal: Principal, job_id: str) -> Job:
    return Job.of(job_for(principal, job_id))


def _has_ended(job: Job) -> bool:
    return job.stage in ENDED
