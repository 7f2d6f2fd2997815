"""Watched folders of the server, for admins, since they reveal the contents of its disks."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.permissions import knowledge_bases_for
from cairn.access.selectors import get_or_not_found, knowledge_base_for
from ingestion.models import Watch as WatchRow
from ingestion.watch_folders.services import next_scan, watch_create, watch_delete, watch_scan, watch_update
from web.api.framework.fields import Body, Flag, Patch
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of

router = Router(tags=["Watched folders"], by_alias=True)
in_knowledge_base = Router(tags=["Watched folders"], by_alias=True)
ADMINS = needs(admin=True)
FolderPath = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Seconds = Annotated[int, Field(ge=30, le=31 * 24 * 3600, description="Seconds between checks")]


class NewWatch(Body):
    """`prune`: documents of files that have vanished are deleted."""

    path: FolderPath = Field(description="A folder on the server under one of WATCH_ROOTS")
    prune: Flag = False
    every_seconds: Seconds = 300
    enabled: Flag = True


class WatchPatch(Patch):
    prune: Flag | None = None
    every_seconds: Seconds | None = None
    enabled: Flag | None = None


class Result(BaseModel):
    """Counts of the last scan. `unfinished` files were being written and are left for the next scan; `links`
    are not followed; `vanished` files have been removed since the scan before.
    """

    files: int = 0
    unchanged: int = 0
    submitted: int = 0
    failed: int = 0
    refused: int = 0
    unfinished: int = 0
    vanished: int = 0
    removed: int = 0
    links: int = 0
    seconds: float = 0.0


class Watch(RowSchema):
    """`import`: of the last scan with changes. `error`: of the last scan."""

    id: str
    knowledge_base: str
    path: str
    prune: bool
    every_seconds: int
    enabled: bool
    looked_at: datetime | None
    next_at: datetime | None
    running: bool
    result: Result
    error: str
    batch: str | None = Field(serialization_alias="import")
    created_at: datetime

    @classmethod
    def of(cls, row: WatchRow) -> "Watch":
        return cls.read(
            row,
            id=str(row.id),
            knowledge_base=str(row.knowledge_base_id),
            next_at=next_scan(row),
            running=row.busy_until is not None and row.busy_until > timezone.now(),
            result=Result.model_validate(row.result),
            batch=str(row.batch_id) if row.batch_id else None,
        )


def _watch(request: HttpRequest, value: str) -> WatchRow:
    shown = WatchRow.objects.filter(knowledge_base__in=knowledge_bases_for(principal_of(request)))
    return get_or_not_found(shown, value)


@in_knowledge_base.get(
    "/{knowledge_base_id}/watches", summary="List watched folders", response=Page[Watch], auth=ADMINS
)
def watch_list(request: HttpRequest, knowledge_base_id: str, query: Query[PageQuery]) -> Page[Watch]:
    """Lists the watched folders of a knowledge base with the result of their last scan."""
    base = knowledge_base_for(principal_of(request), knowledge_base_id)
    found = page_of(WatchRow.objects.filter(knowledge_base=base), query)
    return Page(items=[Watch.of(row) for row in found.rows], next_cursor=found.next_cursor)


@in_knowledge_base.post(
    "/{knowledge_base_id}/watches", summary="Watch a folder", response={201: Watch}, auth=ADMINS
)
def watch_add(request: HttpRequest, knowledge_base_id: str, payload: NewWatch) -> Status[Watch]:
    """Watches a folder. 422 unless it is under WATCH_ROOTS; 409 if it is watched already."""
    principal = principal_of(request)
    base = knowledge_base_for(principal, knowledge_base_id)
    options: dict[str, Any] = payload.model_dump()
    return Status(201, Watch.of(watch_create(knowledge_base=base, principal=principal, **options)))


@router.patch("/{watch_id}", summary="Change a watched folder", response=Watch, auth=ADMINS)
def watch_change(request: HttpRequest, watch_id: str, payload: WatchPatch) -> Watch:
    """Changes how often a folder is scanned and whether missing files are deleted, or pauses it."""
    row = _watch(request, watch_id)
    return Watch.of(watch_update(watch=row, principal=principal_of(request), **payload.sent))


@router.delete("/{watch_id}", summary="Stop watching a folder", response={204: None}, auth=ADMINS)
def watch_remove(request: HttpRequest, watch_id: str) -> Status[None]:
    """Stops watching the folder. Its documents stay."""
    watch_delete(watch=_watch(request, watch_id), principal=principal_of(request))
    return Status(204, None)


@router.post("/{watch_id}/scan", summary="Scan a watched folder now", response={202: Watch}, auth=ADMINS)
def watch_now(request: HttpRequest, watch_id: str) -> Status[Watch]:
    """Scans the folder as soon as a worker is free. 409 while a scan is running."""
    return Status(202, Watch.of(watch_scan(watch=_watch(request, watch_id))))
