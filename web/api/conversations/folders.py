"""Folders in which people sort their conversations."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, StringConstraints

from cairn.access.principals import require_unlimited
from retrieval.conversations.folders import (
    MAX_NAME,
    folder_create,
    folder_delete,
    folder_for,
    folder_rename,
    folders_for,
)
from retrieval.models import ConversationFolder
from web.api.framework.fields import Body
from web.api.framework.pagination import Page, PageQuery, page_of
from web.http.authentication import needs, principal_of

router = Router(tags=["Conversations"], auth=needs("ask"))
FolderName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME)]


class FolderBody(Body):
    name: FolderName


class Folder(BaseModel):
    id: str
    name: str
    created_at: datetime

    @classmethod
    def of(cls, row: ConversationFolder) -> "Folder":
        return cls(id=str(row.id), name=row.name, created_at=row.created_at)


@router.get("", summary="List your conversation folders", response=Page[Folder])
def folder_list(request: HttpRequest, query: Query[PageQuery]) -> Page[Folder]:
    """Lists your folders, the oldest first. A key limited to some knowledge bases gets none."""
    found = page_of(folders_for(principal_of(request)), query)
    return Page(items=[Folder.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Create a conversation folder", response={201: Folder})
def folder_add(request: HttpRequest, payload: FolderBody) -> Status[Folder]:
    """Creates a folder. 409 if you have one with this name. `PATCH` a conversation to move it there."""
    principal = principal_of(request)
    require_unlimited(principal)  # a refusal would reveal which names are taken
    return Status(201, Folder.of(folder_create(user=principal.user, name=payload.name)))


@router.patch("/{folder_id}", summary="Rename a conversation folder", response=Folder)
def folder_change(request: HttpRequest, folder_id: str, payload: FolderBody) -> Folder:
    """Renames the folder."""
    return Folder.of(folder_rename(folder=folder_for(principal_of(request), folder_id), name=payload.name))


@router.delete("/{folder_id}", summary="Delete a conversation folder", response={204: None})
def folder_remove(request: HttpRequest, folder_id: str) -> Status[None]:
    """Deletes the folder. Its conversations stay."""
    folder_delete(folder=folder_for(principal_of(request), folder_id))
    return Status(204, None)
