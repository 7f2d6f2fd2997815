"""The audit log, for admins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.accounts.models import Group, User
from cairn.audit.models import Event, EventQuerySet
from cairn.library.models import Document, KnowledgeBase
from web.api.framework.fields import parse_id_or_no_match
from web.pages.shell.decorators import page, show

SHOWN = 50
NAMED: Final[dict[str, tuple[type[Model], str]]] = {
    "user": (User, "username"),
    "group": (Group, "name"),
    "kb": (KnowledgeBase, "name"),
    "document": (Document, "title"),
}
"""What an event may be about, and how people call it."""


@dataclass(frozen=True, slots=True)
class Row:
    """An audit event. `detail` as text, `actor` and `subject` by name if they still exist."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    subject_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditForm:
    """Filters as typed into the form."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""
    checks: str = ""

    def find_events(self) -> EventQuerySet:
        """Return the matching events; those that access checks caused only if requested."""
        events = Event.objects.matching(**self.filters())
        return events if self.checks else events.not_of_checks()

    def filters(self) -> dict[str, Any]:
        until = _day(self.until)
        return {
            "actor": _actor(self.actor) if self.actor else None,
            "action": self.action,
            "subject": self.subject,
            "since": _day(self.since),
            "until": until + timedelta(days=1) if until else None,
        }


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    form = AuditForm(**{name: _line(request, name) for name in AuditForm.__slots__})
    filters = form.filters()
    before = _line(request, "before")
    events = form.find_events()
    older = events.filter(id__lt=int(before)) if before.isdecimal() and len(before) < 19 else events
    rows = list(older.order_by("-id")[: SHOWN + 1])
    context = {
        "tab": "audit",
        "events": _rows(rows[:SHOWN]),
        "wanted": form,
        "actions": Event.objects.order_by("action").values_list("action", flat=True).distinct(),
        "before": rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        "first": older is events,
        "keep": _query({name: getattr(form, name) for name in AuditForm.__slots__}),
        "export": _query({name: _format_value(value) for name, value in filters.items()}),
    }
    return show(request, principal, "pages/console/audit.html", context, area="console")


def _line(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:200]


def _query(fields: Mapping[str, str]) -> str:
    return urlencode({name: value for name, value in fields.items() if value})


def _format_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value or "")


def _actor(text: str) -> UUID:
    """Return the id of a user given by name or id; an id of nobody if unknown."""
    user = User.objects.filter(username__iexact=text).first()
    return user.id if user else parse_id_or_no_match(text)


def _day(text: str) -> datetime | None:
    """Return the start of a day, UTC; None for invalid dates, and for the last possible one."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day < date.max else None


def _rows(events: Sequence[Event]) -> list[Row]:
    names = _names([*(event.subject for event in events), *(f"user:{event.actor}" for event in events)])
    return [
        Row(
            event.id,
            event.at,
            names.get(f"user:{event.actor}", str(event.actor)) if event.actor else "",
            event.action,
            names.get(event.subject, ""),
            event.subject,
            _words(event.detail),
        )
        for event in events
    ]


def _names(subjects: Iterable[str]) -> dict[str, str]:
    """Return names of existing subjects, in one query for each kind."""
    ids: dict[str, set[UUID]] = {}
    for kind, _, value in (subject.partition(":") for subject in subjects):
        if kind in NAMED:
            ids.setdefault(kind, set()).add(parse_id_or_no_match(value))
    found: dict[str, str] = {}
    for kind, subject_ids in ids.items():
        model, field = NAMED[kind]
        rows = model._default_manager.filter(pk__in=subject_ids).values_list("pk", field)
        found |= {f"{kind}:{pk}": str(name) for pk, name in rows}
    return found


def _words(detail: Mapping[str, object]) -> str:
    values = {name: value for name, value in detail.items() if value not in (None, [], "")}
    return ", ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    match value:
        case bool():
            return gettext("yes") if value else gettext("no")
        case list():
            return ", ".join(map(_value, value))
        case dict():
            return " ".join(map(_value, value.values()))
        case _:
            return str(value)
