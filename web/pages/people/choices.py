"""Options of searchable pickers. Each picker asks for a few that match what is typed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from cairn.access.directory import find_groups, find_users, list_users, rank_by_prefix
from cairn.access.grant_policy import groups_grantable_by, may_grant_to_everyone
from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere
from cairn.accounts.models import ApiKey, Group, User
from web.pages.shell.decorators import fragment

M = TypeVar("M", bound=Model)
OFFERED: Final = 20
"""Options of each kind."""
LONGEST: Final = 150


@dataclass(frozen=True, slots=True)
class Choice:
    """An option. `closed`: shown, but not to be chosen by this user."""

    value: str
    label: str
    kind: str = ""
    closed: bool = False


@require_safe
@fragment
def grantees(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render who may be given access to a knowledge base."""
    require_role_anywhere(principal, Role.MANAGER)
    text = _read_text(request)
    everyone = Choice(
        "everyone", gettext("Everyone who can sign in"), closed=not may_grant_to_everyone(principal)
    )
    found = _best(find_groups(text), "name", text)
    ids = [group.pk for group in found]
    grantable = set(groups_grantable_by(principal).filter(pk__in=ids).values_list("pk", flat=True))
    groups = [_group_choice(group, closed=group.pk not in grantable) for group in found]
    offered = [everyone] if text.casefold() in everyone.label.casefold() else []
    return _render(request, [*offered, *groups, *_active_users(text)])


@require_safe
@fragment
def readers(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render to whom a document may be restricted."""
    require_role_anywhere(principal, Role.MANAGER)
    text = _read_text(request)
    groups = [_group_choice(group) for group in _best(find_groups(text), "name", text)]
    return _render(request, [*groups, *_active_users(text)])


@require_safe
@fragment
def limitable(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render groups, users and keys without limits of their own."""
    require_admin(principal)
    text = _read_text(request)
    groups = [_group_choice(group) for group in _best(find_groups(text).filter(limit=None), "name", text)]
    users = _best(find_users(text, is_active=True).filter(limit=None), "username", text)
    usable = ApiKey.objects.usable(timezone.now()).filter(user__in=list_users())
    keys = usable.filter(limit=None, label__icontains=text)
    found_keys = _best(keys.select_related("user"), "label", text)
    named = gettext("{name} ({username})")
    key_choices = [
        Choice(f"key:{key.pk}", named.format(name=key.label, username=key.user.username), gettext("key"))
        for key in found_keys
    ]
    return _render(request, [*groups, *map(_user_choice, users), *key_choices])


@require_safe
@fragment
def users(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    text = _read_text(request)
    return _render(request, [_user_choice(user) for user in _best(find_users(text), "username", text)])


@require_safe
@fragment
def owners(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render possible owners of knowledge bases."""
    require_admin(principal)
    return _render(request, _active_users(_read_text(request)))


@require_safe
@fragment
def groups(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render all groups, or the local ones: only their members are chosen here."""
    require_admin(principal)
    text = _read_text(request)
    found = find_groups(text, source="" if request.GET.get("local") else None)
    return _render(request, [_group_choice(group) for group in _best(found, "name", text)])


@require_safe
@fragment
def knowledge_bases(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render knowledge bases by slug, or by id, in which the user has at least the role."""
    asked = request.GET.get("role", "")
    role = Role(asked) if asked in Role.values else Role.READER
    text = _read_text(request)
    found = _best(knowledge_bases_for(principal, role=role).filter(name__icontains=text), "name", text)
    by_id = request.GET.get("by") == "id"
    return _render(request, [Choice(str(base.pk) if by_id else base.slug, base.name) for base in found])


def _read_text(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:LONGEST]


def _best(rows: "QuerySet[M, Any]", field: str, text: str) -> list[M]:
    """Return one more than is offered, so that the list can mention that there are more."""
    order = [rank_by_prefix(field, text)] if text else []
    return list(rows.order_by(*order, field, "id")[: OFFERED + 1])


def _active_users(text: str) -> list[Choice]:
    return [_user_choice(user) for user in _best(find_users(text, is_active=True), "username", text)]


def _user_choice(user: User) -> Choice:
    return Choice(f"user:{user.pk}", user.label, gettext("user"))


def _group_choice(group: Group, *, closed: bool = False) -> Choice:
    return Choice(f"group:{group.pk}", str(group), gettext("group"), closed)


def _render(request: HttpRequest, choices: Sequence[Choice]) -> HttpResponse:
    offered = list(_first_of_each_kind(choices))
    context = {"choices": offered, "more": len(offered) < len(choices)}
    return render(request, "pages/people/_choices.html", context)


def _first_of_each_kind(choices: Sequence[Choice]) -> Iterator[Choice]:
    seen: Counter[str] = Counter()
    for choice in choices:
        seen[choice.kind] += 1
        if seen[choice.kind] <= OFFERED:
            yield choice
