"""Files that the user attaches to a conversation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from django.http import HttpRequest
from ninja import File, Router, Status, UploadedFile
from pydantic import BaseModel, Field

from cairn.access.scope import Principal
from cairn.asgi import get_arrival_time
from cairn.library.models import Document as DocumentRow
from cairn.library.models import VersionState
from cairn.limits.rate_limits import upload_count
from ingestion.documents.conversation_files import file_attach, file_remove, require_may_attach
from ingestion.documents.upload import Upload
from ingestion.models import Job as JobRow
from retrieval.conversations.files import conversation_documents, filename_of, find_unfinished
from retrieval.conversations.services import conversation_for
from web.api.library.upload_forms import refuse_unknown_fields
from web.api.schemas import Erasure, Failure, Job, Receipt, Report
from web.http.authentication import needs, principal_of
from web.i18n.localize import localize

router = Router(tags=["Conversations"], auth=needs("ask"), by_alias=True)


class FileForm(BaseModel):
    """The form of an attached file has no other fields."""


class AttachedFile(BaseModel):
    """A file of a conversation. `id` is that of its document, which only you can open."""

    id: str
    name: str
    size: int
    media_type: str
    status: Literal["queued", "processing", "ready", "failed"] = Field(
        description="Questions are refused while a file is `queued` or `processing`"
    )
    error: Failure | None
    job: Job | None = Field(description="Progress, until the file is ready")
    report: Report
    created_at: datetime


class AttachedFiles(BaseModel):
    items: list[AttachedFile]


@router.get("/{conversation_id}/files", summary="List the files of a conversation", response=AttachedFiles)
def file_list(request: HttpRequest, conversation_id: str) -> AttachedFiles:
    """Lists the attached files with their progress, in the order in which they were attached."""
    principal = principal_of(request)
    rows = conversation_documents(conversation_for(principal, conversation_id), principal)
    return AttachedFiles(items=attached_files(list(rows), principal))


@router.post(
    "/{conversation_id}/files",
    summary="Attach a file to a conversation",
    response={202: AttachedFile, 200: AttachedFile},
)
def file_add(request: HttpRequest, conversation_id: str, file: File[UploadedFile]) -> Status[AttachedFile]:
    """Attaches a file that only you can read, and only in this conversation. It is erased with it. Formats
    and limits are those of uploads. A file of the same name is replaced; the same bytes return 200. 409 with
    the code `too_many_files` if there are ten.
    """
    refuse_unknown_fields(request, FileForm)
    principal = principal_of(request)
    conversation = conversation_for(principal, conversation_id)
    require_may_attach(principal)
    upload_count(principal, size=file.size or 0)
    upload = Upload(file, file.name or "", arrived=get_arrival_time(request))
    submission = file_attach(upload, conversation=conversation, principal=principal)
    row = conversation_documents(conversation, principal).get(pk=submission.document.pk)
    return Status(202 if submission.created_job else 200, attached_files([row], principal)[0])


@router.delete(
    "/{conversation_id}/files/{file_id}", summary="Remove a file of a conversation", response={202: Erasure}
)
def file_delete(request: HttpRequest, conversation_id: str, file_id: str) -> Status[Erasure]:
    """Removes the file from the conversation immediately and erases it everywhere soon after. Answers that
    quote it are withheld.
    """
    principal = principal_of(request)
    conversation = conversation_for(principal, conversation_id)
    receipt = file_remove(conversation=conversation, document=file_id, principal=principal)
    return Status(202, Erasure(receipt=Receipt.of(receipt)))


def attached_files(rows: Sequence[DocumentRow], principal: Principal) -> list[AttachedFile]:
    """Return the files with the progress of their latest versions."""
    jobs = JobRow.objects.filter(version__in=[row.latest_version_id for row in rows])
    shapes = {shape.document: shape for shape in Job.all_of(list(jobs.select_related("version__document")))}
    unfinished = find_unfinished(rows)
    return [
        _attached_file(row, shapes.get(str(row.pk)), principal, is_unfinished=row.pk in unfinished)
        for row in rows
    ]


def _attached_file(
    row: DocumentRow, job: Job | None, principal: Principal, *, is_unfinished: bool
) -> AttachedFile:
    version = row.latest_version
    state = version.state if version else VersionState.QUEUED
    if state == VersionState.READY and is_unfinished:
        state = VersionState.PROCESSING
    error = Failure.of(version) if state == VersionState.FAILED else None
    return AttachedFile(
        id=str(row.pk),
        name=filename_of(row),
        size=version.size if version else 0,
        media_type=version.media_type if version else "",
        status=VersionState(state).value,
        error=error and error.model_copy(update={"message": localize(error.message)}),
        job=job if is_unfinished else None,
        report=Report.of(version, principal),
        created_at=row.created_at,
    )
