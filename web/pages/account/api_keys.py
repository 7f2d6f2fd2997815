"""API keys: the user's own, and all keys for admins."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.http import require_POST, require_safe

from cairn.access.directory import list_users
from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import parse_id
from cairn.accounts.models import ApiKey, KeyScope, User
from cairn.accounts.services import api_key_create, api_key_revoke
from cairn.errors import InvalidInput, NotFound
from cairn.library.models import KnowledgeBase
from web.pages.shell.decorators import number_in, page, show

SHOWN = 50
LONGEST_TEXT = 150
SCOPES = tuple((scope.value, scope.label) for scope in KeyScope)
LIVES = (
    ("", gettext_lazy("Never")),
    ("7", gettext_lazy("In a week")),
    ("30", gettext_lazy("In 30 days")),
    ("90", gettext_lazy("In 90 days")),
    ("365", gettext_lazy("In a year")),
)
IN_A_ROW = {
    KeyScope.SEARCH: gettext_noop("read and search"),
    KeyScope.ASK: gettext_noop("ask questions"),
    KeyScope.INGEST: gettext_noop("upload documents"),
    KeyScope.MANAGE: gettext_noop("manage knowledge bases"),
    KeyScope.ADMIN: gettext_noop("manage users"),
}
_DAYS = {value for value, _ in LIVES}


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key. `bases` names the knowledge bases it is limited to, if visible to the user; empty: unlimited."""

    id: UUID
    label: str
    prefix: str
    owner: str
    scopes: str
    bases: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


def key_rows(principal: Principal, keys: Iterable[ApiKey]) -> list[KeyRow]:
    names = dict(knowledge_bases_for(principal).values_list("id", "name"))
    return [_row(key, names) for key in keys]


def _row(key: ApiKey, names: dict[UUID, str]) -> KeyRow:
    return KeyRow(
        key.id,
        key.label,
        key.prefix,
        key.user.username,
        ", ".join(gettext(IN_A_ROW[KeyScope(scope)]) for scope in key.scopes if scope in KeyScope.values),
        _bases(key.knowledge_bases, names),
        key.created_at,
        key.last_used_at,
        key.expires_at,
    )


def _bases(limits: list[str] | None, names: dict[UUID, str]) -> str:
    if limits is None:
        return ""
    known = [names[base] for base in map(UUID, limits) if base in names]
    unknown = len(limits) - len(known)
    return ", ".join(
        [
            *sorted(known, key=str.casefold),
            *([gettext("{n} not accessible to you").format(n=unknown)] if unknown else []),
        ]
    )


def key_fields(principal: Principal, user: User) -> dict[str, Any]:
    """Return the account page's context for keys."""
    return {
        "keys": key_rows(
            principal, ApiKey.objects.usable(timezone.now()).filter(user=user).select_related("user")
        ),
        "scopes": SCOPES,
        "lives": LIVES,
        "bases": knowledge_bases_for(principal).order_by("name", "id"),
    }


def key_make(request: HttpRequest, principal: Principal, user: User) -> tuple[ApiKey, str]:
    """Create a key from the form. Raises InvalidInput for invalid fields. Returns its row and the key."""
    label = request.POST.get("label", "").replace("\0", "").strip()[:100]
    if not label:
        raise InvalidInput(gettext("Enter a name for the key."))
    return api_key_create(
        user=user,
        label=label,
        scopes=request.POST.getlist("scopes"),
        knowledge_bases=_limits(request, principal),
        expires_at=_expiry(request.POST.get("expires", "")),
        actor=principal.actor,
    )


def example_command(request: HttpRequest, row: ApiKey, key: str) -> str:
    """Return a curl command that works with the new key, at the address that this page was opened at."""
    question = gettext("How do I ask a good question?")
    path, body = "/api/v1/me", None
    if KeyScope.ASK in row.scopes:
        path, body = "/api/v1/ask", {"question": question}
    elif KeyScope.SEARCH in row.scopes:
        path, body = "/api/v1/search", {"query": question}
    parts = ["curl", "-s", request.build_absolute_uri(path), "-H", f"Authorization: Bearer {key}"]
    if body:
        parts += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False)]
    return shlex.join(parts)


def _limits(request: HttpRequest, principal: Principal) -> list[UUID] | None:
    limited = request.POST.get("limited", "no")
    if limited not in {"yes", "no"}:
        raise InvalidInput(gettext("Select the knowledge bases for this key."))
    if limited == "no":
        return None
    chosen = [parse_id(value) for value in request.POST.getlist("knowledge_bases")]
    found: list[UUID] = [base.id for base in _readable(principal, chosen)]
    if not chosen or len(found) != len(set(chosen)):
        raise InvalidInput(gettext("Select the knowledge bases for this key."))
    return found


def _readable(principal: Principal, ids: list[UUID]) -> list[KnowledgeBase]:
    return list(knowledge_bases_for(principal).filter(pk__in=ids))


def _expiry(days: str) -> datetime | None:
    if days not in _DAYS:
        raise InvalidInput(gettext("Select when the key expires."))
    return timezone.now() + timedelta(days=int(days)) if days else None


@require_POST
@page
def key_revoke(request: HttpRequest, principal: Principal, key_id: str) -> HttpResponse:
    user = User.objects.get(pk=principal.user)
    api_key_revoke(user=user, key_id=parse_id(key_id), actor=principal.actor)
    messages.success(request, gettext("Key revoked."))
    return redirect("pages:account")


@require_safe
@page
def all_keys(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List every valid key, so that admins see which programs have access."""
    require_admin(principal)
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT]
    usable = ApiKey.objects.usable(timezone.now()).filter(user__in=list_users())
    usable = usable.order_by("user__username", "created_at", "id")
    named = Q(label__icontains=text) | Q(user__username__icontains=text) | Q(prefix__startswith=text)
    found = usable.filter(named) if text else usable
    rows = Paginator(found.select_related("user"), SHOWN).get_page(number_in(request.GET.get("page", "")))
    context = {
        "keys": key_rows(principal, rows),
        "rows": rows,
        "text": text,
        "query_prefix": f"{urlencode({'q': text})}&" if text else "",
        "tab": "keys",
    }
    return show(request, principal, "pages/console/keys.html", context, area="console")


@require_POST
@page
def any_key_revoke(request: HttpRequest, principal: Principal, key_id: str) -> HttpResponse:
    require_admin(principal)
    key = ApiKey.objects.filter(pk=parse_id(key_id)).select_related("user").first()
    if key is None:
        raise NotFound
    api_key_revoke(user=key.user, key_id=key.id, actor=principal.actor)
    message = gettext("Revoked key “{name}” ({username}).")
    messages.success(request, message.format(name=key.label, username=key.user.username))
    return redirect("pages:console-keys")
