"""Groups over SCIM, limited to those created by it; others are neither visible nor changed."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from scim2_models import Context

from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import Group as GroupRow
from cairn.accounts.provisioning import SCIM, team_create, team_update
from cairn.accounts.services import group_delete
from web.api.framework.fields import parse_id_or_no_match
from web.protocols.scim.filters import GROUPS
from web.protocols.scim.pagination import build_page, parse_query
from web.protocols.scim.patch import Membership, members_in, operations_of, patch
from web.protocols.scim.resources import Group, build_group_resource
from web.protocols.scim.responses import Asked, body_of, endpoint, resource_response, scim_response

ROWS = GroupRow.objects.filter(source=SCIM)


def _list(request: HttpRequest, _principal: Principal) -> HttpResponse:
    asked = parse_query(request, Group)
    rows, members = _with_members(asked)
    return scim_response(
        build_page(rows, asked, GROUPS, lambda row: build_group_resource(request, row, members=members))
    )


def _create(request: HttpRequest, principal: Principal) -> HttpResponse:
    data = body_of(request)
    sent = Group.model_validate(_without_members(data), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    members = _ids(members_in(data.get("members")))
    row = team_create(
        name=sent.display_name or "",
        external_id=sent.external_id or "",
        members=members,
        actor=principal.actor,
    )
    return _answer(request, row, Context.RESOURCE_CREATION_RESPONSE)


def _get(request: HttpRequest, _principal: Principal, team_id: str) -> HttpResponse:
    return _answer(request, get_or_not_found(ROWS.all(), team_id), Context.RESOURCE_QUERY_RESPONSE)


def _replace(request: HttpRequest, principal: Principal, team_id: str) -> HttpResponse:
    data = body_of(request)
    sent = Group.model_validate(_without_members(data), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
    members = members_in(data.get("members"))
    with transaction.atomic():
        row = get_or_not_found(ROWS.select_for_update(), team_id)
        _change(row, sent, members, principal)
    return _answer(request, row, Context.RESOURCE_REPLACEMENT_RESPONSE)


def _patch(request: HttpRequest, principal: Principal, team_id: str) -> HttpResponse:
    """Patch a group. It is returned only if attributes are requested, as it may have thousands of members."""
    data = body_of(request)
    operations = operations_of(data)
    with transaction.atomic():
        row = get_or_not_found(ROWS.select_for_update(), team_id)
        membership = Membership(_members_of(row))
        others = membership.apply(operations)
        _change(
            row,
            patch(build_group_resource(request, row, members=False), data, others),
            membership.ids,
            principal,
        )
    if "attributes" in request.GET:
        return _answer(request, row, Context.RESOURCE_PATCH_RESPONSE)
    return HttpResponse(status=204)


def _delete(_request: HttpRequest, principal: Principal, team_id: str) -> HttpResponse:
    group_delete(get_or_not_found(ROWS.all(), team_id), actor=principal.actor)
    return HttpResponse(status=204)


def _change(row: GroupRow, sent: Group, members: set[str], principal: Principal) -> None:
    team_update(
        row,
        name=sent.display_name or "",
        external_id=sent.external_id or "",
        members=_ids(members),
        actor=principal.actor,
    )


def _members_of(row: GroupRow) -> set[str]:
    return set(map(str, row.members.values_list("id", flat=True)))


def _ids(members: set[str]) -> set[UUID]:
    return {parse_id_or_no_match(member) for member in members}


def _without_members(data: Any) -> Any:
    return (
        {name: value for name, value in data.items() if name != "members"} if isinstance(data, dict) else data
    )


def _with_members(asked: Asked) -> "tuple[QuerySet[GroupRow], bool]":
    """Prefetch members only if requested, as they are expensive."""
    chosen = [str(path).lower() for path in asked.attributes or ()]
    left_out = [str(path).lower() for path in asked.excluded_attributes or ()]
    with_members = any(path.startswith("members") for path in chosen) if chosen else "members" not in left_out
    return (ROWS.prefetch_related("members"), True) if with_members else (ROWS.all(), False)


def _answer(request: HttpRequest, row: GroupRow, context: Context) -> HttpResponse:
    """Return the group as it is now."""
    asked = parse_query(request, Group)
    rows, members = _with_members(asked)
    found = build_group_resource(request, get_or_not_found(rows, row.pk), members=members)
    return resource_response(found, context, asked)


groups = endpoint(get=_list, post=_create)
group = endpoint(get=_get, put=_replace, patch=_patch, delete=_delete)
