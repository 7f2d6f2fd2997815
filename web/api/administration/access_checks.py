"""Access checks for admins: canary documents that must not be visible to others."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from datetime import datetime

from django.http import HttpRequest
from ninja import Body as JsonBody
from ninja import Query, Router, Status
from pydantic import BaseModel, Field

from cairn.access.models import AccessCheck as CheckRow
from cairn.access.models import CheckState
from cairn.access.selectors import get_or_not_found
from web.access_checks.services import check_begin
from web.api.framework.fields import Body
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of

router = Router(tags=["Access"], auth=needs(admin=True))


class Nothing(Body):
    pass


class Leak(BaseModel):
    """A leak. `what` names the kind of content returned, such as `text` or `title`, not the content."""

    who: str
    how: str
    what: str


class AccessCheck(RowSchema):
    """`probes`: requests by people without access to the canaries; `spots`: searches for real documents by
    people without access. A `failed` check has no result; `error` gives the reason.
    """

    id: str
    state: CheckState
    probes: int
    spots: int
    leaks: list[Leak]
    error: str
    requested_by: str | None = Field(description="Null for scheduled checks")
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: CheckRow) -> "AccessCheck":
        return cls.read(
            row,
            id=str(row.id),
            state=CheckState(row.state),
            leaks=[Leak.model_validate(leak) for leak in row.leaks],
            requested_by=str(row.requested_by_id) if row.requested_by_id else None,
        )


@router.get("", summary="List access checks", response=Page[AccessCheck])
def check_list(request: HttpRequest, page: Query[PageQuery]) -> Page[AccessCheck]:
    """Returns the last hundred checks, newest first."""
    found = page_of(CheckRow.objects.all(), page, newest_first=True)
    return Page(items=[AccessCheck.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Start an access check", response={202: AccessCheck})
def check_add(request: HttpRequest, payload: JsonBody[Nothing | None] = None) -> Status[AccessCheck]:
    """Starts a check: adds canaries and requests them as people without access. 409 while another one
    runs.
    """
    return Status(202, AccessCheck.of(check_begin(requested_by=principal_of(request).user)))


@router.get("/{check_id}", summary="Get an access check", response=AccessCheck)
def check_get(request: HttpRequest, check_id: str) -> AccessCheck:
    """Returns a check with its result and any leaks."""
    return AccessCheck.of(get_or_not_found(CheckRow.objects.all(), check_id))
