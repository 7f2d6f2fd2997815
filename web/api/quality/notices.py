"""Notices to the user."""

from datetime import datetime

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, Field

from cairn.access.scope import Principal
from retrieval.gaps.models import Notice as NoticeRow
from retrieval.gaps.models import NoticeKind
from retrieval.gaps.notices import notice_for, notice_read, notices_for, notices_read_all
from web.api.framework.pagination import Page, PageQuery, page_of
from web.http.authentication import needs, principal_of
from web.presentation.notices import text_of, url_of

router = Router(tags=["Notices"], auth=needs("ask"))


class Notice(BaseModel):
    """`question`: your question it is about. `url`: a link; null if you may no longer open it."""

    id: str
    kind: NoticeKind
    text: str
    question: str | None
    url: str | None
    created_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, row: NoticeRow, principal: Principal) -> "Notice":
        return cls(
            id=str(row.id),
            kind=NoticeKind(row.kind),
            text=text_of(row, principal),
            question=row.message.question if row.message else None,
            url=url_of(row, principal),
            created_at=row.created_at,
            read_at=row.read_at,
        )


class NoticeQuery(PageQuery):
    unread: bool = Field(False, description="Only unread ones")


class NoticesRead(BaseModel):
    read: int


@router.get("", summary="List your notices", response=Page[Notice])
def notice_list(request: HttpRequest, query: Query[NoticeQuery]) -> Page[Notice]:
    """Lists your notices, newest first."""
    principal = principal_of(request)
    rows = notices_for(principal)
    found = page_of(rows.unread() if query.unread else rows, query, newest_first=True)
    return Page(items=[Notice.of(row, principal) for row in found.rows], next_cursor=found.next_cursor)


@router.post("/read", summary="Mark all notices as read", response=NoticesRead)
def notices_read(request: HttpRequest) -> NoticesRead:
    """Marks all notices as read."""
    return NoticesRead(read=notices_read_all(principal=principal_of(request)))


@router.post("/{notice_id}/read", summary="Mark a notice as read", response=Notice)
def notice_mark_read(request: HttpRequest, notice_id: str) -> Notice:
    """Marks one of your notices as read, and returns it."""
    principal = principal_of(request)
    return Notice.of(notice_read(notice=notice_for(principal, notice_id)), principal)
