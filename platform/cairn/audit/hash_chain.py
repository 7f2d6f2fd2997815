"""The hash chain of audit events: each has a number, and a hash of its content and the hash before it.

Events are sealed soon after their transaction, not in it: otherwise all writers would have to wait for each
other. The order of the chain is that of sealing.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cairn.audit.models import Event, Head

log = logging.getLogger(__name__)

START = "0" * 64
UNREADABLE = "unreadable"
MAX_EVENTS_PER_TRANSACTION = 500
OVERDUE = timedelta(minutes=10)
_WALK = 2000


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The end of the chain as recorded at `where`: the number of events, and the hash of the last one."""

    count: int
    hash: str
    where: str


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """`problem` describes the first event that was changed or removed; `broken_at` is its number. `overdue`
    counts events that should have been sealed long ago."""

    count: int
    hash: str
    unsealed: int
    overdue: int
    broken_at: int | None = None
    problem: str = ""


def digest(event: Event, number: int, previous: str) -> str:
    content = {
        "number": number,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": str(event.actor) if event.actor else None,
        "action": event.action,
        "subject": event.subject,
        "detail": event.detail,
        "previous": previous,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seal_all() -> int:
    """Give pending events their place in the chain; return how many."""
    total = 0
    while Event.objects.unsealed().exists():
        total += _seal_some()
    return total


def _seal_some() -> int:
    with transaction.atomic():
        head = lock_head()
        events = list(Event.objects.unsealed().order_by("id")[:MAX_EVENTS_PER_TRANSACTION])
        for event in events:
            previous, head.count = head.hash or START, head.count + 1
            head.hash = digest(event, head.count, previous)
            QuerySet(Event).filter(pk=event.pk).update(number=head.count, hash=head.hash)
        head.save()
    _file_write(head)
    return len(events)


def lock_head() -> Head:
    """Return the end of the chain, locked until the end of the transaction."""
    Head.objects.get_or_create(pk=1)
    return Head.objects.select_for_update().get(pk=1)


def head_file() -> Path:
    return Path(settings.DATA_DIR) / "audit_head.json"


def read_head_file() -> ChainEnd | None:
    """Return the head stored beside the database. An unreadable file yields a head that matches nothing."""
    try:
        content = json.loads(head_file().read_text(encoding="utf-8"))
        return ChainEnd(int(content["count"]), str(content["hash"]), str(head_file()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return ChainEnd(0, UNREADABLE, str(head_file()))


def _file_write(head: Head) -> None:
    """Write the head file, unless it names a chain that no longer exists: that needs a person's attention."""
    known = read_head_file()
    if known and not _matches_chain(known):
        log.error("the end of the audit log differs from %s: run manage.py audit verify", known.where)
        return
    fresh = head_file().with_suffix(".new")
    fresh.write_text(json.dumps({"count": head.count, "hash": head.hash}), encoding="utf-8")
    fresh.replace(head_file())


def _matches_chain(known: ChainEnd) -> bool:
    return Event.objects.filter(number=known.count, hash=known.hash).exists()


def verify(known: Sequence[ChainEnd] = ()) -> ChainStatus:
    """Walk the whole chain and compare its end with the known heads."""
    ends = [*known, *([stored] if (stored := read_head_file()) else []), *_head_rows()]
    count, last, problem, broken_at = _walk(ends)
    if not problem:
        broken_at, problem = _missing(count, ends)
    waiting = Event.objects.unsealed()
    overdue = waiting.filter(at__lt=timezone.now() - OVERDUE).count()
    return ChainStatus(count, last, waiting.count(), overdue, broken_at, problem)


def _head_rows() -> list[ChainEnd]:
    return [ChainEnd(row.count, row.hash, "the database") for row in Head.objects.all()]


def _walk(ends: Sequence[ChainEnd]) -> tuple[int, str, str, int | None]:
    count, previous = 0, START
    for event in Event.objects.sealed().order_by("number").iterator(_WALK):
        number = count + 1
        if event.number != number:
            return count, previous, f"Event {number} has been removed.", number
        if digest(event, number, previous) != event.hash:
            return count, previous, f"Event {number} is not what it was.", number
        count, previous = number, event.hash
        for end in ends:
            if end.count == count and end.hash != previous:
                return count, previous, f"Event {count} is not the one that {end.where} knows.", count
    return count, previous, "", None


def _missing(count: int, ends: Sequence[ChainEnd]) -> tuple[int | None, str]:
    for end in ends:
        if end.count > count:
            return count + 1, f"Event {count + 1} has been removed: {end.where} knows of {end.count}."
        if end.hash == UNREADABLE:
            return 0, f"{end.where} cannot be read."
    return None, ""
