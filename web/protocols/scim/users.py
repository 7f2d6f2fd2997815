"""Users over SCIM: a directory can see and change all of them, but not make them admins."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from scim2_models import Context

from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User as UserRow
from cairn.accounts.provisioning import person_create, person_update
from ingestion.erasure.users import user_erase
from web.protocols.scim.filters import USERS
from web.protocols.scim.pagination import build_page, parse_query
from web.protocols.scim.patch import operations_of, patch
from web.protocols.scim.resources import User, build_user_resource, email_of
from web.protocols.scim.responses import body_of, endpoint, resource_response, scim_response

ROWS = UserRow.objects.filter(hidden=False).prefetch_related("identities")


def _list(request: HttpRequest, _principal: Principal) -> HttpResponse:
    asked = parse_query(request, User)
    return scim_response(build_page(ROWS.all(), asked, USERS, lambda row: build_user_resource(request, row)))


def _create(request: HttpRequest, principal: Principal) -> HttpResponse:
    sent = User.model_validate(body_of(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    row = person_create(
        username=sent.user_name or "",
        display_name=sent.display_name,
        email=email_of(sent),
        is_active=sent.active is not False,
        external_id=sent.external_id or "",
        actor=principal.actor,
    )
    return _answer(request, row, Context.RESOURCE_CREATION_RESPONSE)


def _get(request: HttpRequest, _principal: Principal, user_id: str) -> HttpResponse:
    return _answer(request, get_or_not_found(ROWS.all(), user_id), Context.RESOURCE_QUERY_RESPONSE)


def _replace(request: HttpRequest, principal: Principal, user_id: str) -> HttpResponse:
    sent = User.model_validate(body_of(request), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
    with transaction.atomic():
        row = get_or_not_found(ROWS.select_for_update(), user_id)
        _change(row, sent, sent.display_name, principal)
    return _answer(request, row, Context.RESOURCE_REPLACEMENT_RESPONSE)


def _patch(request: HttpRequest, principal: Principal, user_id: str) -> HttpResponse:
    data = body_of(request)
    with transaction.atomic():
        row = get_or_not_found(ROWS.select_for_update(), user_id)
        sent = patch(build_user_resource(request, row), data, operations_of(data))
        _change(row, sent, sent.display_name or "", principal)
    return _answer(request, row, Context.RESOURCE_PATCH_RESPONSE)


def _delete(_request: HttpRequest, principal: Principal, user_id: str) -> HttpResponse:
    user_erase(user=get_or_not_found(ROWS.all(), user_id), actor=principal.actor)
    return HttpResponse(status=204)


def _change(row: UserRow, sent: User, display_name: str | None, principal: Principal) -> None:
    """Replace the user. Absent attributes are cleared, except `active` and a display name of None."""
    person_update(
        row,
        username=sent.user_name or "",
        display_name=display_name,
        email=email_of(sent),
        is_active=sent.active,
        external_id=sent.external_id or "",
        actor=principal.actor,
    )


def _answer(request: HttpRequest, row: UserRow, context: Context) -> HttpResponse:
    """Return the user as they are now."""
    found = build_user_resource(request, get_or_not_found(ROWS.all(), row.pk))
    return resource_response(found, context, parse_query(request, User))


users = endpoint(get=_list, post=_create)
user = endpoint(get=_get, put=_replace, patch=_patch, delete=_delete)
