"""Groups of users, for admins."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from cairn.access.directory import find_groups
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import Group as GroupRow
from cairn.accounts.services import group_create, group_delete, group_update
from web.api.framework.fields import Body, Flag, GroupName, Members, Patch, parse_id_or_no_match
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.schemas import Group
from web.http.authentication import needs, principal_of

router = Router(tags=["Groups"], auth=needs(admin=True))


class NewGroup(Body):
    name: GroupName
    members: Members = []
    managers: Members = []
    can_create_knowledge_bases: Flag = False


class GroupPatch(Patch):
    name: GroupName | None = None
    members: Members | None = None
    managers: Members | None = None
    can_create_knowledge_bases: Flag | None = None


class GroupQuery(PageQuery):
    q: str = Field("", max_length=150, description="Part of the name")
    source: str | None = Field(None, max_length=100, description="Directory; empty for local groups")

    def rows(self) -> "QuerySet[GroupRow]":
        return find_groups(self.q, source=self.source)


@router.get("", summary="List groups", response=Page[Group])
def group_list(request: HttpRequest, page: Query[GroupQuery]) -> Page[Group]:
    """Lists groups, the oldest first."""
    found = page_of(page.rows().prefetch_related("members", "managers"), page)
    return Page(items=[Group.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Create a group", response={201: Group})
def group_add(request: HttpRequest, payload: NewGroup) -> Status[Group]:
    """Creates a group with its members. Names are unique."""
    row = group_create(
        name=payload.name,
        members=[parse_id_or_no_match(value) for value in payload.members],
        managers=[parse_id_or_no_match(value) for value in payload.managers],
        can_create_knowledge_bases=payload.can_create_knowledge_bases,
        actor=principal_of(request).actor,
    )
    return Status(201, Group.of(row))


@router.get("/{group_id}", summary="Get a group", response=Group)
def group_get(request: HttpRequest, group_id: str) -> Group:
    """Returns a group with the ids of its members."""
    return Group.of(get_or_not_found(GroupRow.objects.all(), group_id))


@router.patch("/{group_id}", summary="Change a group", response=Group)
def group_change(request: HttpRequest, group_id: str, payload: GroupPatch) -> Group:
    """Changes a group. Name and members of a directory's group are changed there: 409 `managed_elsewhere`.
    `can_create_knowledge_bases` lets its members create knowledge bases, wherever the group comes from.
    """
    row = group_update(
        get_or_not_found(GroupRow.objects.all(), group_id),
        name=payload.name,
        members=_ids(payload.members),
        managers=_ids(payload.managers),
        can_create_knowledge_bases=payload.can_create_knowledge_bases,
        actor=principal_of(request).actor,
    )
    return Group.of(row)


def _ids(values: Sequence[str] | None) -> list[UUID] | None:
    return None if values is None else [parse_id_or_no_match(value) for value in values]


@router.delete("/{group_id}", summary="Delete a group", response={204: None})
def group_remove(request: HttpRequest, group_id: str) -> Status[None]:
    """Deletes a group with all its grants. A directory may create it again, without grants."""
    group_delete(get_or_not_found(GroupRow.objects.all(), group_id), actor=principal_of(request).actor)
    return Status(204, None)
