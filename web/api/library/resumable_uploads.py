"""Resumable uploads of large files. An interrupted connection costs one part, not the file."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from django.http import HttpRequest
from ninja import Header, Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.models import Role
from cairn.access.selectors import knowledge_base_for
from cairn.limits.rate_limits import upload_count
from ingestion.documents.resumable_uploads import (
    MAX_PART_BYTES,
    MIN_PART_BYTES,
    part_add,
    upload_complete,
    upload_for,
    upload_open,
    uploads_drop,
    uploads_for,
)
from ingestion.models import UPLOAD_TTL, PartialUpload
from web.api.framework.fields import (
    Body,
    Count,
    Id,
    Metadata,
    SourceUri,
    Subjects,
    Title,
    parse_knowledge_base_or_no_match,
)
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.library.documents import batch_in, build_submitted_response, versions_in
from web.api.schemas import Submitted
from web.http.authentication import needs, principal_of

router = Router(tags=["Uploads"], by_alias=True)
WORKS = needs("ingest")
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Offset = Annotated[int, Field(ge=0, le=2**53)]
BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class NewUpload(Body):
    """The same fields as for a file that is uploaded in one request."""

    knowledge_base: Id
    filename: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    size: Count = Field(ge=1, le=2**53)
    sha256: Sha256 | None = Field(None, description="If set, the uploaded bytes must match this hash")
    fingerprint: Annotated[str, StringConstraints(max_length=200)] = Field(
        "", description="Your own identifier for the file"
    )
    title: Title | None = None
    source_uri: SourceUri | None = None
    metadata: Metadata | None = None
    readers: Subjects | None = None
    batch: Id | None = Field(None, alias="import", description="The import it belongs to")

    OPTIONS: ClassVar = ("title", "source_uri", "metadata", "readers")

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) or None for name in self.OPTIONS if getattr(self, name) is not None}


class Upload(BaseModel):
    """`offset`: the bytes received, at which the next part begins. `document`: set on completion."""

    id: str
    knowledge_base: str
    batch: str | None = Field(serialization_alias="import")
    filename: str
    source_uri: str
    fingerprint: str
    size: int
    offset: int
    part_least: int
    part_most: int
    document: str | None
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: PartialUpload) -> "Upload":
        return cls(
            id=str(row.id),
            knowledge_base=str(row.knowledge_base_id),
            batch=str(row.batch_id) if row.batch_id else None,
            filename=row.filename,
            source_uri=row.options.get("source_uri") or "",
            fingerprint=row.fingerprint,
            size=row.size,
            offset=row.received,
            part_least=MIN_PART_BYTES,
            part_most=MAX_PART_BYTES,
            document=str(row.document_id) if row.document_id else None,
            created_at=row.created_at,
            expires_at=row.updated_at + UPLOAD_TTL,
        )


class UploadQuery(PageQuery):
    knowledge_base: str = Field("", max_length=140)


class PartQuery(BaseModel):
    offset: Offset = Field(description="Position of the part in the file: the upload's `offset`")


@router.post("", summary="Start a resumable upload", response={201: Upload}, auth=WORKS)
def upload_begin(request: HttpRequest, payload: NewUpload) -> Status[Upload]:
    """Requires the role editor. Send the parts, then complete the upload; it expires after a day without
    parts.
    """
    principal = principal_of(request)
    base = knowledge_base_for(principal, payload.knowledge_base, role=Role.EDITOR)
    batch = batch_in(principal, base, payload.batch or "")
    upload_count(principal, size=payload.size)
    row = upload_open(
        knowledge_base=base,
        principal=principal,
        filename=payload.filename,
        size=payload.size,
        sha256=payload.sha256 or "",
        fingerprint=payload.fingerprint,
        batch=batch,
        options=payload.options(),
    )
    row.refresh_from_db(fields=["updated_at"])
    return Status(201, Upload.of(row))


@router.get("", summary="List your resumable uploads", response=Page[Upload], auth=WORKS)
def upload_list(request: HttpRequest, query: Query[UploadQuery]) -> Page[Upload]:
    """Lists your incomplete uploads."""
    principal = principal_of(request)
    rows = uploads_for(principal).filter(completed_at=None)
    if query.knowledge_base:
        rows = rows.filter(knowledge_base=parse_knowledge_base_or_no_match(principal, query.knowledge_base))
    found = page_of(rows, query)
    return Page(items=[Upload.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/{upload_id}", summary="Get a resumable upload", response=Upload, auth=WORKS)
def upload_get(request: HttpRequest, upload_id: str) -> Upload:
    """Returns how much of the file has been received, to continue after an interruption."""
    return Upload.of(upload_for(principal_of(request), upload_id))


@router.patch(
    "/{upload_id}", summary="Send a part of a file", response=Upload, auth=WORKS, openapi_extra=BYTES
)
def upload_part(request: HttpRequest, upload_id: str, query: Query[PartQuery]) -> Upload:
    """Appends the request body at `offset`. 409 `wrong_offset` if it does not follow the bytes received:
    query the upload to continue. All parts but the last have at least `part_least` bytes.
    """
    upload = upload_for(principal_of(request), upload_id)
    data = request.read(MAX_PART_BYTES + 1)
    return Upload.of(part_add(upload=upload, offset=query.offset, data=data))


@router.delete("/{upload_id}", summary="Cancel a resumable upload", response={204: None}, auth=WORKS)
def upload_cancel(request: HttpRequest, upload_id: str) -> Status[None]:
    """Deletes the parts. The document of a completed upload stays."""
    uploads_drop([upload_for(principal_of(request), upload_id)])
    return Status(204, None)


@router.post(
    "/{upload_id}/complete",
    summary="Complete a resumable upload",
    response={202: Submitted, 200: Submitted},
    auth=WORKS,
)
def upload_done(
    request: HttpRequest,
    upload_id: str,
    if_match: Annotated[str | None, Header(alias="If-Match", max_length=200)] = None,
) -> Status[Submitted]:
    """Returns the same as an upload of the whole file; repeatable. 422 `sha256_mismatch` if the bytes differ
    from the announced file.
    """
    principal = principal_of(request)
    upload = upload_for(principal, upload_id)
    submission = upload_complete(upload=upload, principal=principal, if_match=versions_in(if_match))
    return build_submitted_response(submission, principal)
