"""The audit log as files: CSV for spreadsheets, JSON Lines for programs."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from cairn.accounts.models import User
from cairn.audit.models import Event, EventQuerySet

BATCH_SIZE = 1000
COLUMNS = ("number", "at", "actor", "actor_name", "action", "subject", "detail", "hash")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(events: EventQuerySet, form: str) -> Iterator[str]:
    """Yield lines in batches, oldest first."""
    header, written = FORMATS[form]
    yield header
    yield from map(written, batches(events))


def batches(events: EventQuerySet) -> Iterator[Sequence[Event]]:
    last = 0
    while rows := list(events.filter(id__gt=last).order_by("id")[:BATCH_SIZE]):
        last = rows[-1].id
        yield rows


def fields(event: Event) -> dict[str, object]:
    return {
        "number": event.number,
        "at": event.at.isoformat(),
        "actor": str(event.actor) if event.actor else None,
        "action": event.action,
        "subject": event.subject,
        "detail": event.detail,
        "hash": event.hash,
    }


def _json_lines(events: Sequence[Event]) -> str:
    return "".join(f"{json.dumps(fields(event), ensure_ascii=False)}\n" for event in events)


def _csv(events: Sequence[Event]) -> str:
    names = {
        user.id: user.username for user in User.objects.filter(pk__in={e.actor for e in events if e.actor})
    }
    rows = [
        {
            **fields(event),
            "actor_name": names.get(event.actor, "") if event.actor else "",
            "detail": json.dumps(event.detail, ensure_ascii=False),
        }
        for event in events
    ]
    return _lines([[row[column] for column in COLUMNS] for row in rows])


def _lines(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: object) -> str:
    """Return the value for CSV; an apostrophe prevents formulas."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


FORMATS: Final[dict[str, tuple[str, Callable[[Sequence[Event]], str]]]] = {
    "csv": (_lines([COLUMNS]), _csv),
    "jsonl": ("", _json_lines),
}
MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
