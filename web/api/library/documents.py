"""Documents: uploads in one request, originals, extracted text, and receipts of their erasure."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import File, Form, Header, Query, Router, Status, UploadedFile
from pydantic import BaseModel, ConfigDict, Field

from cairn.access.audience import people_reading
from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import document_for, knowledge_base_for
from cairn.asgi import get_arrival_time
from cairn.audit.services import record, record_unless_recent
from cairn.errors import NotFound, PreconditionFailed
from cairn.library.models import Document as DocumentRow
from cairn.library.models import DocumentVersion, KnowledgeBase
from cairn.library.storage import rendition_load
from cairn.limits.rate_limits import upload_count
from ingestion.documents.services import document_delete, document_review, document_update
from ingestion.documents.sources import sources_under
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Submission, Upload
from ingestion.models import Import
from ingestion.parse.page_images import THUMBNAIL_WIDTH, WIDTH, page_picture
from ingestion.selectors import import_into, receipt_for, receipts_for
from retrieval.statistics.services import document_opened
from web.api.framework import fields
from web.api.framework.downloads import attachment, picture
from web.api.framework.fields import Id, Metadata, Patch, Subjects, Title, parse_id_or_no_match
from web.api.framework.pagination import Page, PageQuery, numbered_page, page_of
from web.api.library.upload_forms import UploadForm, refuse_unknown_fields
from web.api.schemas import (
    Document,
    Erasure,
    Job,
    Owner,
    Passage,
    Receipt,
    Rendition,
    Source,
    Submitted,
    annotate_documents,
)
from web.http.authentication import needs, principal_of

router = Router(tags=["Documents"])
in_knowledge_base = Router(tags=["Documents"], by_alias=True)
receipts = Router(tags=["Documents"])
SEES_STATE = needs("search", "ingest", "manage")
READS = needs("search")
SOURCES = 1000
OWNERS = 20
Number = Annotated[int | None, Field(ge=1, le=2**31 - 1, description="Version; the active one if omitted")]
WIDTHS = {"full": WIDTH, "thumbnail": THUMBNAIL_WIDTH}
PNG = {
    200: {"description": "OK", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
BYTES = {200: {"description": "OK", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}}


ReviewDays = Annotated[fields.Count, Field(ge=1, le=3660)]


class DocumentQuery(PageQuery):
    status: Literal["queued", "processing", "ready", "failed", "deleted"] | None = None
    q: str = Field("", max_length=200, description="Part of the title or source")
    tag: str = Field("", max_length=100)
    parent: str = Field("", max_length=100, description="The email or archive that contains them")


class DocumentPatch(Patch):
    """`readers` null or with `everyone`: all who may read the knowledge base."""

    erasable: ClassVar[frozenset[str]] = frozenset({"readers", "owner", "review_by", "review_days"})

    title: Title | None = None
    metadata: Metadata | None = None
    readers: Subjects | None = None
    owner: Id | None = None
    review_by: date | None = None
    review_days: ReviewDays | None = None
    forbids_outside_models: fields.Flag | None = Field(
        None, description="No model outside the organisation may read it, or what is embedded in it"
    )


class Reviewed(fields.Body):
    days: ReviewDays | None = Field(
        None, description=("Days until the next review; same as last time if omitted")
    )


class OwnerQuery(BaseModel):
    q: str = Field("", max_length=150, description="Part of the user name")


class ReceiptQuery(PageQuery):
    state: Literal["pending", "done"] | None = None


class VersionQuery(BaseModel):
    version: Number = None


class PageImageQuery(VersionQuery):
    size: Literal["full", "thumbnail"] = "full"


class RemoveQuery(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    batch: str = Field(
        "", max_length=100, alias="import", description=("The import that removes the document")
    )


class SourceQuery(PageQuery):
    limit: int = Field(SOURCES, ge=1, le=SOURCES, description="Maximum number of items to return")
    under: str = Field("", max_length=1000, description="Prefix of the sources, such as `folder/`")


class ChunkQuery(PageQuery):
    version: Number = None


@in_knowledge_base.get(
    "/{knowledge_base_id}/documents",
    summary="List the documents of a knowledge base",
    response=Page[Document],
    auth=SEES_STATE,
)
def document_list(
    request: HttpRequest, knowledge_base_id: str, query: Query[DocumentQuery]
) -> Page[Document]:
    """Lists documents that you may read, in the order of their upload."""
    principal = principal_of(request)
    base = knowledge_base_for(principal, knowledge_base_id)
    rows = documents_for(principal).filter(knowledge_base=base)
    rows = rows.with_status(query.status) if query.status else rows
    rows = rows.titled_like(query.q) if query.q else rows
    rows = rows.filter(parent=parse_id_or_no_match(query.parent)) if query.parent else rows
    rows = rows.tagged(query.tag) if query.tag else rows
    found = page_of(annotate_documents(rows), query)
    return Page(items=[Document.of(row, principal) for row in found.rows], next_cursor=found.next_cursor)


@in_knowledge_base.post(
    "/{knowledge_base_id}/documents",
    summary="Upload a document",
    response={202: Submitted, 200: Submitted},
    auth=needs("ingest"),
)
def document_add(
    request: HttpRequest,
    knowledge_base_id: str,
    file: File[UploadedFile],
    form: Form[UploadForm],
    idempotency_key: Annotated[
        str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)
    ] = None,
    if_match: Annotated[str | None, Header(alias="If-Match", max_length=200)] = None,
) -> Status[Submitted]:
    """Requires the role editor. An existing `source_uri`, or else file name, gets a new version; the same
    bytes return 200 and create no job. 409 if another upload replaces it at the same time. `If-Match:
    "<version>"`: 412 unless that is the latest version.
    """
    refuse_unknown_fields(request)
    principal = principal_of(request)
    base = knowledge_base_for(principal, knowledge_base_id, role=Role.EDITOR)
    upload_count(principal, size=file.size or 0)
    submission = document_submit(
        Upload(
            file,
            file.name or "",
            if_match=versions_in(if_match),
            batch=batch_in(principal, base, form.batch),
            arrived=get_arrival_time(request),
            **form.options(),
        ),
        knowledge_base=base,
        principal=principal,
        idempotency_key=idempotency_key,
    )
    return build_submitted_response(submission, principal)


def build_submitted_response(submission: Submission, principal: Principal) -> Status[Submitted]:
    job = Job.of(submission.job) if submission.job else None
    shape = Submitted(document=Document.of(submission.document, principal), job=job)
    return Status(202 if submission.created_job else 200, shape)


@in_knowledge_base.get(
    "/{knowledge_base_id}/sources",
    summary="List the sources in a knowledge base",
    response=Page[Source],
    auth=SEES_STATE,
)
def source_list(request: HttpRequest, knowledge_base_id: str, query: Query[SourceQuery]) -> Page[Source]:
    """Lists existing sources in short form, so that clients can send only changes."""
    principal = principal_of(request)
    base = knowledge_base_for(principal, knowledge_base_id)
    found = page_of(sources_under(principal, base, query.under), query)
    return Page(items=[Source.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/{document_id}", summary="Get a document", response=Document, auth=SEES_STATE)
def document_get(request: HttpRequest, document_id: str, response: HttpResponse) -> Document:
    """Returns the document. `ETag` is the version, for `If-Match`."""
    principal = principal_of(request)
    return _set_etag(response, Document.of(document_for(principal, document_id), principal))


@router.patch("/{document_id}", summary="Change a document", response=Document, auth=needs("manage"))
def document_change(
    request: HttpRequest,
    document_id: str,
    payload: DocumentPatch,
    response: HttpResponse,
    if_match: Annotated[str | None, Header(alias="If-Match", max_length=200)] = None,
) -> Document:
    """Requires the role editor. `If-Match: "<version>"`: 412 if another version is active."""
    principal = principal_of(request)
    row = document_for(principal, document_id, role=Role.EDITOR)
    with transaction.atomic():
        _require_match(row, if_match)
        row = document_update(document=row, principal=principal, changes=payload.sent)
    return _set_etag(response, Document.of(row, principal))


@router.delete("/{document_id}", summary="Delete a document", response={202: Erasure}, auth=needs("manage"))
def document_remove(request: HttpRequest, document_id: str, query: Query[RemoveQuery]) -> Status[Erasure]:
    """Requires the role editor. Removes it from search immediately and erases it everywhere soon after."""
    principal = principal_of(request)
    row = document_for(principal, document_id, role=Role.EDITOR)
    batch = batch_in(principal, row.knowledge_base, query.batch)
    receipt = document_delete(document=row, principal=principal, batch=batch)
    return Status(202, Erasure(receipt=Receipt.of(receipt)))


@router.post(
    "/{document_id}/review", summary="Mark a document as reviewed", response=Document, auth=needs("manage")
)
def document_reviewed(request: HttpRequest, document_id: str, payload: Reviewed) -> Document:
    """Requires the role editor. Marks the document as reviewed and sets the next review date."""
    principal = principal_of(request)
    row = document_for(principal, document_id, role=Role.EDITOR)
    return Document.of(document_review(document=row, principal=principal, days=payload.days), principal)


@router.get(
    "/{document_id}/owners",
    summary="Find possible owners of a document",
    response=list[Owner],
    auth=needs("manage"),
)
def document_owners(request: HttpRequest, document_id: str, query: Query[OwnerQuery]) -> list[Owner]:
    """Requires the role editor. Lists possible owners, which are the people who may read it, by user name."""
    row = document_for(principal_of(request), document_id, role=Role.EDITOR)
    people = people_reading(row).filter(username__icontains=query.q).order_by("username")
    return [Owner(id=str(user.id), username=user.username) for user in people[:OWNERS]]


@receipts.get("", summary="List erasure receipts", response=Page[Receipt], auth=needs("manage"))
def receipt_list(request: HttpRequest, query: Query[ReceiptQuery]) -> Page[Receipt]:
    """Lists receipts, newest first: all of them for admins, those of your own deletions otherwise."""
    rows = receipts_for(principal_of(request))
    found = page_of(rows.filter(state=query.state) if query.state else rows, query, newest_first=True)
    return Page(items=[Receipt.of(row) for row in found.rows], next_cursor=found.next_cursor)


@receipts.get("/{receipt_id}", summary="Get an erasure receipt", response=Receipt, auth=needs("manage"))
def receipt_get(request: HttpRequest, receipt_id: str) -> Receipt:
    """Returns a receipt. Available to the user who requested the erasure, and admins."""
    return Receipt.of(receipt_for(principal_of(request), receipt_id))


@router.get(
    "/{document_id}/content", summary="Download the original", auth=READS, openapi_extra={"responses": BYTES}
)
def document_content(
    request: HttpRequest, document_id: str, query: Query[VersionQuery]
) -> StreamingHttpResponse:
    """Returns the original as an attachment."""
    version = _version(request, document_id, query.version)
    answer = attachment(version)
    actor = principal_of(request).actor
    record(
        "document.downloaded", actor=actor, subject=f"document:{version.document.id}", version=version.number
    )
    return answer


@router.get("/{document_id}/rendition", summary="Get the extracted text", response=Rendition, auth=READS)
def document_rendition(request: HttpRequest, document_id: str, query: Query[VersionQuery]) -> Rendition:
    """Returns the extracted content of the document; 404 until it has been processed."""
    version = _open_version(request, document_id, query.version)
    if not version.rendition:
        raise NotFound
    try:
        return Rendition.of(rendition_load(version.rendition))
    except FileNotFoundError as error:
        raise NotFound from error


@router.get(
    "/{document_id}/chunks", summary="List the passages of a document", response=Page[Passage], auth=READS
)
def document_chunks(request: HttpRequest, document_id: str, query: Query[ChunkQuery]) -> Page[Passage]:
    """Lists the document's passages in order; none until the document has been processed."""
    version = _open_version(request, document_id, query.version)
    found = numbered_page(version.chunks.all(), query, by="ordinal")
    return Page(items=[Passage.of(row, version) for row in found.rows], next_cursor=found.next_cursor)


@router.get(
    "/{document_id}/pages/{page}.png",
    summary="Get an image of a page",
    auth=READS,
    openapi_extra={"responses": PNG},
)
def document_page(
    request: HttpRequest, document_id: str, page: str, query: Query[PageImageQuery]
) -> HttpResponse:
    """Returns an image of a page, counted from 1; 404 for formats without pages. A thumbnail is small enough
    for a list of pages.
    """
    version = _open_version(request, document_id, query.version)
    if not (page.isdecimal() and page.isascii() and len(page) <= 6):
        raise NotFound
    width = WIDTHS[query.size]
    image = page_picture(version, int(page), width=width)
    return picture(request, image, tag=f"{version.id}-{int(page)}-{width}")


def _open_version(request: HttpRequest, document_id: str, number: int | None) -> DocumentVersion:
    version = _version(request, document_id, number)
    principal = principal_of(request)
    record_unless_recent("document.opened", actor=principal.actor, subject=f"document:{version.document.id}")
    if version.document.knowledge_base.conversation is None:
        document_opened(document=version.document.id, principal=principal)
    return version


def _version(request: HttpRequest, document_id: str, number: int | None) -> DocumentVersion:
    document = document_for(principal_of(request), document_id)
    shown = document.shown_version
    if number is not None and (shown is None or shown.number != number):
        shown = document.versions.filter(number=number).first()
    if shown is None:
        raise NotFound
    shown.document = document
    return shown


def batch_in(principal: Principal, base: KnowledgeBase, value: str) -> Import | None:
    """Return an import. The caller has checked that the principal is an editor there."""
    return import_into(principal, base, value) if value else None


def _set_etag(response: HttpResponse, document: Document) -> Document:
    response["ETag"] = f'"{document.version}"'
    return document


def _require_match(row: DocumentRow, if_match: str | None) -> None:
    """Check the version and lock the row, so that no other version is activated meanwhile."""
    versions = versions_in(if_match)
    if versions is None or "*" in versions:
        return
    present = DocumentRow.objects.select_for_update(of=("self",)).with_versions().get(pk=row.pk)
    version = present.shown_version
    if version is None or str(version.number) not in versions:
        raise PreconditionFailed


def versions_in(if_match: str | None) -> frozenset[str] | None:
    if if_match is None:
        return None
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(","))
