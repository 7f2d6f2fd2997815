"""Usage limits of people and keys, and today's usage, for admins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.accounts.models import ApiKey, User
from cairn.errors import InvalidInput
from cairn.limits.models import Limit, Usage
from cairn.limits.rules import Measure, Most, defaults
from cairn.limits.services import limit_set
from web.i18n.localize import localize
from web.pages.shell.decorators import number_in, page, show

SHOWN: Final = 100
OVERRIDES: Final = 25
LONGEST_TEXT: Final = 150
MOST: Final = 1_000_000_000
UNLIMITED: Final = gettext_noop("unlimited")
LABELS: Final = {
    Measure.QUESTIONS_PER_MINUTE: gettext_noop("Questions per minute"),
    Measure.QUESTIONS_PER_DAY: gettext_noop("Questions per day"),
    Measure.TOKENS_PER_DAY: gettext_noop("Model tokens per day"),
    Measure.STREAMS_AT_ONCE: gettext_noop("Concurrent answers"),
    Measure.FOLLOWED_AT_ONCE: gettext_noop("Concurrent progress streams"),
    Measure.SEARCHES_PER_MINUTE: gettext_noop("Searches per minute"),
    Measure.UPLOADS_PER_MINUTE: gettext_noop("Uploads per minute"),
    Measure.UPLOADS_PER_DAY: gettext_noop("Uploads per day"),
    Measure.UPLOAD_MB_PER_DAY: gettext_noop("Uploaded MB per day"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A limit. `value` as typed; `otherwise`: the inherited limit."""

    name: str
    label: str
    value: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class Subject:
    value: str
    name: str
    kind: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Used:
    name: str
    kind: str
    questions: int
    tokens: int
    uploads: int
    bytes: int


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    if request.method != "POST":
        return _render_page(request, principal)
    try:
        limit_set(subject=_text(request.POST, "subject"), values=_values(request.POST), actor=principal.actor)
    except InvalidInput as error:
        return _render_page(request, principal, error=localize(error.message), status=422)
    messages.success(request, gettext("Limits saved."))
    return redirect("pages:console-limits")


def _render_page(
    request: HttpRequest, principal: Principal, *, error: str = "", status: int = 200
) -> HttpResponse:
    general = Limit.objects.filter(user=None, group=None, key=None).first()
    known = _values_of(general) if general else {}
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT]
    rows = Paginator(_find_overrides(text), OVERRIDES).get_page(number_in(request.GET.get("page", "")))
    context = {
        "rows": rows,
        "text": text,
        "query_prefix": f"{urlencode({'q': text})}&" if text else "",
        "tab": "limits",
        "error": error,
        "everyone": Subject("everyone", gettext("Everyone"), "", _fields(known, defaults())),
        "subjects": [_subject(limit, known) for limit in rows],
        "blank": _fields({}, {**defaults(), **known}),
        "used": _find_highest_usage(),
    }
    return show(request, principal, "pages/console/limits.html", context, area="console", status=status)


def _find_overrides(text: str) -> "QuerySet[Limit]":
    named = (
        Q(user__username__icontains=text)
        | Q(user__display_name__icontains=text)
        | Q(group__name__icontains=text)
        | Q(key__label__icontains=text)
    )
    rows = Limit.objects.exclude(user=None, group=None, key=None).select_related("user", "group", "key__user")
    return (rows.filter(named) if text else rows).order_by(
        "user__username", "group__name", "key__label", "id"
    )


def _subject(limit: Limit, everyone: Mapping[Measure, Most]) -> Subject:
    fields = _fields(_values_of(limit), {**defaults(), **everyone})
    if limit.user:
        return Subject(limit.subject, limit.user.label, gettext("user"), fields)
    if limit.group:
        return Subject(limit.subject, str(limit.group), gettext("group"), fields)
    assert limit.key is not None  # a constraint of the table
    return Subject(limit.subject, _of(limit.key), gettext("key"), fields)


def _of(key: ApiKey) -> str:
    return gettext("{name} ({username})").format(name=key.label, username=key.user)


def _values_of(limit: Limit) -> dict[Measure, Most]:
    return {Measure(name): most for name, most in limit.values.items()}


def _fields(values: Mapping[Measure, Most], otherwise: Mapping[Measure, Most]) -> tuple[Field, ...]:
    return tuple(
        Field(
            measure.value,
            gettext(label),
            _format_limit(values[measure]) if measure in values else "",
            _format_limit(otherwise[measure]),
        )
        for measure, label in LABELS.items()
    )


def _format_limit(most: Most) -> str:
    return gettext(UNLIMITED) if most is None else str(most)


def _values(form: QueryDict) -> dict[Measure, Most]:
    typed = {measure: _text(form, measure) for measure in Measure}
    return {measure: _number(measure, text) for measure, text in typed.items() if text}


def _number(measure: Measure, text: str) -> Most:
    if text.casefold() in {UNLIMITED, gettext(UNLIMITED).casefold()}:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MOST):
        message = gettext("{limit}: enter a number or “unlimited”, or leave empty.")
        raise InvalidInput(message.format(limit=gettext(LABELS[measure])))
    return int(text)


def _text(form: QueryDict, name: str) -> str:
    return str(form.get(name, "")).strip()


def _find_highest_usage() -> list[Used]:
    """Return the highest usage, of people and keys; keys without own limits count for their users as well."""
    today = Usage.objects.filter(day=timezone.now().date()).exclude(Q(questions=0) & Q(uploads=0))
    rows = list(today.order_by("-questions", "-bytes", "id")[:SHOWN])
    names = _names(row.owner for row in rows)
    return [
        Used(*names[row.owner], row.questions, row.tokens, row.uploads, row.bytes)
        for row in rows
        if row.owner in names
    ]


def _names(owners: Iterable[UUID]) -> dict[UUID, tuple[str, str]]:
    ids = list(owners)
    keys = ApiKey.objects.filter(pk__in=ids).select_related("user")
    found: dict[UUID, Any] = {key.pk: (_of(key), gettext("key")) for key in keys}
    return found | {user.pk: (user.username, "") for user in User.objects.filter(pk__in=ids)}
