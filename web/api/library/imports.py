"""Imports of many files, and the result of each."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from django.db.models import Q
from django.http import HttpRequest, StreamingHttpResponse
from ninja import File, Form, Query, Router, Status, UploadedFile
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.models import Role
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_for, require_role
from cairn.asgi import get_arrival_time
from cairn.errors import InvalidInput
from cairn.limits.rate_limits import upload_count
from ingestion.documents.batch_submit import IncomingFile, files_submit
from ingestion.documents.resumable_uploads import uploads_drop
from ingestion.documents.upload import Submission
from ingestion.imports.services import (
    ImportState,
    Summary,
    import_cancel,
    import_close,
    import_open,
    summaries,
)
from ingestion.jobs.progress import QueueStatus, queue_statuses
from ingestion.models import Import as ImportRow
from ingestion.models import ImportItem, ImportKind, Outcome, PartialUpload, Stage
from ingestion.selectors import import_for, imports_for, items_for
from web.api.framework.fields import Body
from web.api.framework.pagination import Page, PageQuery, numbered_page, page_of
from web.api.framework.polling_stream import follow
from web.api.library.jobs import stream_of
from web.api.library.upload_forms import MOST_FILES, FilesForm, refuse_unknown_fields
from web.api.schemas import Failure, Report
from web.http.authentication import needs, principal_of

router = Router(tags=["Imports"])
in_knowledge_base = Router(tags=["Imports"])
FOLLOWS = needs("ingest", "manage")
WORKS = needs("ingest")
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Files = Annotated[int, Field(ge=0, le=10_000_000)]


class NewImport(Body):
    label: Label = Field(description="Such as the folder's name")
    kind: Literal["folder", "archive"] = "folder"
    files: Files | None = Field(None, description="Number of files, if known")


class Close(Body):
    unchanged: Files = Field(0, description="Number of files skipped because the server already has them")


class Counts(BaseModel):
    """`files` is the sum of the others."""

    files: int
    queued: int
    processing: int
    ready: int
    failed: int
    cancelled: int
    unchanged: int
    refused: int
    removed: int


class Import(BaseModel):
    """`container` is the document, an archive or a mail, that the files came from. `rate` is in files per
    second. `progress`, from 0 to 1, and `eta_s` count passages, not files. While `receiving`, more files may
    arrive, until all announced files have, it is closed, or it is idle for ten minutes.
    """

    id: str
    knowledge_base: str
    kind: ImportKind
    label: str
    state: ImportState
    files: int | None
    container: str | None
    user: str | None
    username: str | None
    counts: Counts
    chunks: int
    rate: float | None
    eta_s: float | None
    progress: float
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ImportRow, principal: Principal) -> "Import":
        return cls.all_of([row], principal)[0]

    @classmethod
    def all_of(cls, rows: "list[ImportRow]", principal: Principal) -> "list[Import]":
        sums = summaries(rows, principal)
        return [cls._of(row, sums[row.id]) for row in rows]

    @classmethod
    def _of(cls, row: ImportRow, now: Summary) -> "Import":
        return cls(
            id=str(row.id),
            knowledge_base=str(row.knowledge_base_id),
            kind=ImportKind(row.kind),
            label=row.label,
            state=now.state,
            files=row.expected,
            container=str(row.container.document_id) if row.container else None,
            user=str(row.user_id) if row.user_id else None,
            username=row.user.username if row.user else None,
            counts=Counts.model_validate(now, from_attributes=True),
            chunks=now.chunks,
            rate=now.rate,
            eta_s=now.eta,
            progress=now.progress,
            created_at=row.created_at,
            updated_at=now.updated_at,
        )


class Item(BaseModel):
    """A file of an import. From `stage` to `eta_s` the fields are those of its job. `error` is why it was
    refused or failed. `chunks` and `report` are set for ready files.
    """

    id: str
    source_uri: str
    outcome: Outcome
    document: str | None
    job: str | None
    stage: Stage | None
    done: int
    total: int
    rate: float | None
    queue_position: int | None
    eta_s: float | None
    chunks: int
    report: Report | None
    error: Failure | None

    @classmethod
    def all_of(cls, rows: "list[ImportItem]", principal: Principal) -> "list[Item]":
        places = queue_statuses([row.job for row in rows if row.job and not row.job.ended])
        nowhere = QueueStatus()
        return [
            cls._of(row, places.get(row.job.id, nowhere) if row.job else nowhere, principal) for row in rows
        ]

    @classmethod
    def _of(cls, row: ImportItem, place: QueueStatus, principal: Principal) -> "Item":
        job = row.job
        ready = job.version if job and job.stage == Stage.READY else None
        return cls(
            id=str(row.id),
            source_uri=row.source_uri,
            outcome=Outcome(row.outcome),
            document=str(row.document_id) if row.document_id else None,
            job=str(job.id) if job else None,
            stage=Stage(job.stage) if job else None,
            done=job.done if job else 0,
            total=job.total if job else 0,
            rate=place.rate,
            queue_position=place.position,
            eta_s=place.eta,
            chunks=ready.chunk_count if ready else 0,
            report=Report.of(ready, principal) if ready else None,
            error=_error(row),
        )


def _error(row: ImportItem) -> Failure | None:
    if row.code:
        return Failure(code=row.code, message=row.message)
    ended_badly = row.job is not None and row.job.stage in {Stage.FAILED, Stage.CANCELLED}
    return Failure.of(row.job.version) if row.job and ended_badly else None


class Taken(BaseModel):
    """The result of submitting one file. `job`: its processing job, or null. `error`: why it was refused."""

    source_uri: str
    outcome: Outcome
    document: str | None = None
    job: str | None = None
    error: Failure | None = None

    @classmethod
    def of(cls, source_uri: str, result: Submission | InvalidInput) -> "Taken":
        if isinstance(result, InvalidInput):
            error = Failure(code=result.code, message=result.message)
            return cls(source_uri=source_uri, outcome=Outcome.REFUSED, error=error)
        return cls(
            source_uri=source_uri,
            outcome=Outcome.ACCEPTED if result.created_job else Outcome.UNCHANGED,
            document=str(result.document.id),
            job=str(result.job.id) if result.job else None,
        )


class ItemQuery(PageQuery):
    outcome: Outcome | None = None
    stage: Stage | None = Field(None, description="Stage of the item's job")
    failed: bool = Field(False, description="Only rejected items and items with failed jobs")

    def condition(self) -> Q:
        found = Q()
        if self.outcome:
            found &= Q(outcome=self.outcome)
        if self.stage:
            found &= Q(job__stage=self.stage)
        if self.failed:
            found &= Q(outcome=Outcome.REFUSED) | Q(job__stage__in=(Stage.FAILED, Stage.CANCELLED))
        return found


@in_knowledge_base.post(
    "/{knowledge_base_id}/imports", summary="Start an import", response={201: Import}, auth=WORKS
)
def import_add(request: HttpRequest, knowledge_base_id: str, payload: NewImport) -> Status[Import]:
    """Requires the role editor. Then send the files to its `items`, or upload each with this import's id in
    the field `import`.
    """
    principal = principal_of(request)
    base = knowledge_base_for(principal, knowledge_base_id, role=Role.EDITOR)
    row = import_open(
        knowledge_base=base,
        label=payload.label,
        user=principal.user,
        kind=ImportKind(payload.kind),
        expected=payload.files,
    )
    return Status(201, Import.of(row, principal))


@in_knowledge_base.get(
    "/{knowledge_base_id}/imports", summary="List imports", response=Page[Import], auth=FOLLOWS
)
def import_list(request: HttpRequest, knowledge_base_id: str, query: Query[PageQuery]) -> Page[Import]:
    """Lists your imports, and all of them for editors, newest first."""
    principal = principal_of(request)
    base = knowledge_base_for(principal, knowledge_base_id)
    found = page_of(imports_for(principal).filter(knowledge_base=base), query, newest_first=True)
    return Page(items=Import.all_of(list(found.rows), principal), next_cursor=found.next_cursor)


@router.get("/{import_id}", summary="Get an import", response=Import, auth=FOLLOWS)
def import_get(request: HttpRequest, import_id: str) -> Import:
    """Returns an import with the counts of its files by outcome."""
    return _import(principal_of(request), import_id)


@router.get("/{import_id}/items", summary="List the files of an import", response=Page[Item], auth=FOLLOWS)
def import_items(request: HttpRequest, import_id: str, query: Query[ItemQuery]) -> Page[Item]:
    """Lists items of documents you may read, in order of arrival."""
    principal = principal_of(request)
    rows = items_for(principal, import_for(principal, import_id)).filter(query.condition())
    found = numbered_page(rows, query, by="id")
    return Page(items=Item.all_of(list(found.rows), principal), next_cursor=found.next_cursor)


@router.post("/{import_id}/items", summary="Add files to an import", response=list[Taken], auth=WORKS)
def import_items_add(
    request: HttpRequest,
    import_id: str,
    file: Annotated[list[UploadedFile], File(min_length=1, max_length=MOST_FILES)],
    form: Form[FilesForm],
) -> list[Taken]:
    """Requires the role editor. Submits several small files in one request, which is much faster. Returns the
    result of each, in order: a refused file does not affect the others.
    """
    refuse_unknown_fields(request, FilesForm)
    principal = principal_of(request)
    batch = import_for(principal, import_id)
    require_role(principal, batch.knowledge_base, Role.EDITOR)
    sources = form.sources(file)
    upload_count(principal, size=sum(each.size or 0 for each in file), files=len(file))
    sent = [
        IncomingFile(each, each.name or "", source_uri)
        for each, source_uri in zip(file, sources, strict=True)
    ]
    results = files_submit(batch=batch, files=sent, principal=principal, arrived=get_arrival_time(request))
    return [Taken.of(each.key, outcome) for each, outcome in zip(sent, results, strict=True)]


@router.post("/{import_id}/close", summary="Close an import", response=Import, auth=WORKS)
def import_done(request: HttpRequest, import_id: str, payload: Close) -> Import:
    """Requires the role editor. Closes the import; not needed once the announced number of files has come."""
    principal = principal_of(request)
    row = import_for(principal, import_id)
    require_role(principal, row.knowledge_base, Role.EDITOR)
    return Import.of(import_close(batch=row, unchanged=payload.unchanged), principal)


@router.post("/{import_id}/cancel", summary="Cancel an import", response={202: Import}, auth=WORKS)
def import_stop(request: HttpRequest, import_id: str) -> Status[Import]:
    """Requires the role editor. Cancels the import; its open jobs end within seconds. 409 if it has ended."""
    principal = principal_of(request)
    row = import_cancel(batch=import_for(principal, import_id), principal=principal)
    uploads_drop(PartialUpload.objects.open().filter(batch=row))
    return Status(202, Import.of(row, principal))


@router.get(
    "/{import_id}/events",
    summary="Follow an import",
    auth=FOLLOWS,
    openapi_extra={"responses": stream_of(Import, "progress", "until it is over")},
)
def import_events(request: HttpRequest, import_id: str) -> StreamingHttpResponse:
    """Streams server-sent events until the import is done or cancelled."""
    return follow(principal_of(request), partial(_import, import_id=import_id), over=_is_over, slower=2)


def _import(principal: Principal, import_id: str) -> Import:
    return Import.of(import_for(principal, import_id), principal)


def _is_over(batch: Import) -> bool:
    return batch.state in {ImportState.DONE, ImportState.CANCELLED}
