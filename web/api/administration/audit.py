"""The audit log, for admins."""

from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router
from pydantic import BaseModel, Field

from cairn.audit.models import Event as EventRow
from cairn.audit.models import EventQuerySet
from cairn.audit.services import record
from web.api.framework.downloads import stream_attachment
from web.api.framework.fields import AwareMoment, parse_id_or_no_match
from web.api.framework.pagination import Page, PageQuery, numbered_page
from web.api.row_schema import RowSchema
from web.exports.audit_log import MEDIA_TYPES, export
from web.http.authentication import needs, principal_of

router = Router(tags=["Audit"], auth=needs(admin=True))
FILES = {200: {"description": "OK", "content": {media_type: {} for media_type in MEDIA_TYPES.values()}}}


class AuditFilters(BaseModel):
    """Filters of audit events. `since` is inclusive, `until` exclusive."""

    actor: str = Field("", max_length=100, description="User who performed the action")
    action: str = Field(
        "", max_length=60, description=("`grant.given`, or `grant` for all actions starting with it")
    )
    subject: str = Field("", max_length=80, description="Such as `document:ID`, or just the id")
    since: AwareMoment | None = None
    until: AwareMoment | None = None

    def find_events(self) -> EventQuerySet:
        return EventRow.objects.matching(
            actor=parse_id_or_no_match(self.actor) if self.actor else None,
            action=self.action,
            subject=self.subject,
            since=self.since,
            until=self.until,
        )


class AuditQuery(PageQuery, AuditFilters):
    pass


class ExportQuery(AuditFilters):
    format: Literal["csv", "jsonl"] = "jsonl"


class Event(RowSchema):
    """`number` and `hash` are its place in the chain, assigned within seconds. `actor` is null if nobody was
    signed in, or the action was scheduled.
    """

    id: str
    number: int | None
    at: datetime
    actor: str | None
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, row: EventRow) -> "Event":
        return cls.read(
            row,
            id=str(row.id),
            actor=str(row.actor) if row.actor else None,
        )


@router.get("", summary="List audit events", response=Page[Event])
def event_list(request: HttpRequest, query: Query[AuditQuery]) -> Page[Event]:  # noqa: ARG001
    """Returns events, newest first."""
    found = numbered_page(query.find_events(), query, by="id", newest_first=True)
    return Page(items=[Event.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/export", summary="Export the audit log", openapi_extra={"responses": FILES})
def event_export(request: HttpRequest, query: Query[ExportQuery]) -> StreamingHttpResponse:
    """Exports events as CSV or JSON lines, oldest first. The export itself is logged."""
    record("audit.exported", actor=principal_of(request).actor, subject="audit", format=query.format)
    name = f"audit-{datetime.now(UTC):%Y-%m-%d}.{query.format}"
    lines = (part.encode() for part in export(query.find_events(), query.format))
    return stream_attachment(lines, name=name, media_type=MEDIA_TYPES[query.format])
