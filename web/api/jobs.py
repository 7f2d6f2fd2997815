"""The work on documents: how it stands, and seeing it go on."""

import asyncio
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from cairn.access.scope import Principal
from ingestion.lookup import job_for, jobs_for
from ingestion.models import ENDED, Stage
from ingestion.services import job_cancel, job_retry
from web.api.fields import id_or_nobody
from web.api.pagination import Page, PageQuery, page_of
from web.api.problems import as_cairn_error, problem_data
from web.api.schemas import Job
from web.auth import needs, principal_again, principal_of
from web.sse import PING, PING_SECONDS, event_stream, frame

router = Router(tags=["Jobs"])
READS = needs("search", "ask", "ingest", "manage")
WORKS = needs("ingest")
LOOK_SECONDS = 0.5
EVENTS = {
    200: {
        "description": "`progress` with the job whenever it changes, until it ends; `error` with a problem",
        "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Job"}}},
    }
}


class JobQuery(PageQuery):
    stage: Stage | None = None
    document: str = Field("", max_length=100)
    knowledge_base: str = Field("", max_length=100)


@router.get("", response=Page[Job], auth=READS)
def job_list(request: HttpRequest, query: Query[JobQuery]) -> Page[Job]:
    """Newest first; jobs of the documents I may read."""
    rows = jobs_for(principal_of(request))
    if query.stage:
        rows = rows.filter(stage=query.stage)
    if query.document:
        rows = rows.filter(version__document=id_or_nobody(query.document))
    if query.knowledge_base:
        rows = rows.filter(version__document__knowledge_base=id_or_nobody(query.knowledge_base))
    found = page_of(rows, query, newest_first=True)
    return Page(items=Job.all_of(found.rows), next_cursor=found.next_cursor)


@router.get("/{job_id}", response=Job, auth=READS)
def job_get(request: HttpRequest, job_id: str) -> Job:
    return Job.of(job_for(principal_of(request), job_id))


@router.post("/{job_id}/retry", response={202: Job}, auth=WORKS)
def job_again(request: HttpRequest, job_id: str) -> Status[Job]:
    """Takes the role editor. 409 unless it failed or was cancelled."""
    principal = principal_of(request)
    job = job_retry(job=job_for(principal, job_id), principal=principal)
    return Status(202, Job.of(job))


@router.post("/{job_id}/cancel", response={202: Job}, auth=WORKS)
def job_stop(request: HttpRequest, job_id: str) -> Status[Job]:
    """Takes the role editor. 409 if it has ended."""
    principal = principal_of(request)
    job = job_cancel(job=job_for(principal, job_id), principal=principal)
    return Status(202, Job.of(job))


@router.get("/{job_id}/events", auth=READS, openapi_extra={"responses": EVENTS})
def job_events(request: HttpRequest, job_id: str) -> StreamingHttpResponse:
    """Server-sent events, until the job ends or may not be seen any more."""
    principal = principal_of(request)
    return event_stream(_progress(principal, Job.of(job_for(principal, job_id))))


async def _progress(principal: Principal, job: Job) -> AsyncIterator[bytes]:
    yield _frame(job)
    quiet = 0.0
    while job.stage not in ENDED:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            now = await _look(principal, job.id)
        except Exception as error:  # noqa: BLE001 the stream is the request's outermost boundary
            yield frame("error", problem_data(as_cairn_error(error)))
            return
        quiet = quiet + LOOK_SECONDS if now == job else 0.0
        if now != job:
            yield _frame(now)
        elif quiet >= PING_SECONDS:
            yield PING
            quiet = 0.0
        job = now


def _frame(job: Job) -> bytes:
    return frame("progress", job.model_dump())


@sync_to_async
def _look(principal: Principal, job: str) -> Job:
    """The job as of now, to whoever the principal is by now."""
    try:
        return Job.of(job_for(principal_again(principal), job))
    finally:
        _release_connections()


def _release_connections() -> None:
    """Between two looks: a stream lasts, and a pool of connections is small."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
