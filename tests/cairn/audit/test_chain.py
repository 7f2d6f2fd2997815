"""The hash chain of audit events, and manipulations by somebody with access to the database."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cairn.audit import hash_chain
from cairn.audit.hash_chain import ChainEnd, head_file, seal_all, verify
from cairn.audit.models import AppendOnly, Event, Head
from cairn.audit.services import record, record_unless_recent
from cairn.audit.tasks import seal

guards = import_module("cairn.audit.migrations.0002_chain")
pytestmark = pytest.mark.django_db
rows = QuerySet(Event)
"""As somebody has them who does not go through the model."""


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def chain(db: None) -> None:
    """Five sealed events, in a table without its guards."""
    for n in range(1, 6):
        record("grant.given", actor=uuid4(), subject=f"kb:{n}", role="reader", share=0.5, of=None)
    seal()
    execute(*guards.AWAY[connection.vendor])


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_untouched_chain_verifies(chain: None) -> None:
    record("sign_in", actor=None)
    verdict = verify()
    assert (verdict.count, verdict.unsealed, verdict.overdue, verdict.problem) == (5, 1, 0, "")
    assert seal_all() == 1
    assert seal_all() == 0
    assert verify([ChainEnd(5, verdict.hash, "a note")]).problem == ""


def swapped() -> None:
    second, third = rows.get(number=2), rows.get(number=3)
    rows.filter(number=2).update(number=99)
    rows.filter(pk=third.pk).update(number=2, hash=second.hash)
    rows.filter(pk=second.pk).update(number=3, hash=third.hash)


def inserted() -> None:
    for event in rows.filter(number__gte=3).order_by("-number"):
        rows.filter(pk=event.pk).update(number=event.number + 1)
    rows.create(action="made.up", number=3, hash="0" * 64)


TAMPERING: dict[str, tuple[Callable[[], object], int]] = {
    "the actor": (lambda: rows.filter(number=2).update(actor=uuid4()), 2),
    "the time": (lambda: rows.filter(number=2).update(at=timezone.now()), 2),
    "the action": (lambda: rows.filter(number=4).update(action="grant.taken"), 4),
    "the subject": (lambda: rows.filter(number=5).update(subject="kb:6"), 5),
    "the detail": (lambda: rows.filter(number=1).update(detail={"role": "manager"}), 1),
    "the hash": (lambda: rows.filter(number=3).update(hash="f" * 64), 3),
    "removed": (lambda: rows.filter(number=3).delete(), 3),
    "reordered": (swapped, 2),
    "inserted": (inserted, 3),
    "cut": (lambda: rows.filter(number__gt=3).delete(), 4),
    "unsealed": (lambda: rows.filter(number=5).update(number=None, hash=""), 5),
    "emptied": (lambda: rows.all().delete(), 1),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found(chain: None, how: str) -> None:
    tamper, number = TAMPERING[how]
    tamper()
    verdict = verify()
    assert verdict.broken_at == number
    assert f"Event {number} " in verdict.problem


def rewritten(*, keep: int) -> None:
    """The last events are gone and the rest is a chain of its own, with its head in the table."""
    rows.filter(number__gt=keep).delete()
    previous = hash_chain.START
    for event in rows.order_by("number"):
        event.subject = "kb:0"
        previous = hash_chain.digest(event, event.number or 0, previous)
        rows.filter(pk=event.pk).update(subject=event.subject, hash=previous)
    Head.objects.update(count=keep, hash=previous)


@pytest.mark.parametrize("keep", [5, 3])
def test_replaced_chain_is_detected_by_head_file_and_noted_head(chain: None, keep: int) -> None:
    noted = ChainEnd(5, verify().hash, "--head")
    rewritten(keep=keep)
    assert str(head_file()) in verify().problem
    head_file().unlink()
    assert verify().problem == ""
    assert "--head" in verify([noted]).problem


def test_head_file_is_not_overwritten_when_it_contradicts_the_chain(chain: None) -> None:
    head = head_file().read_text()
    rewritten(keep=3)
    for _ in range(4):
        record("sign_in", actor=None)
    assert seal_all() == 4
    assert head_file().read_text() == head
    assert verify().broken_at == 5


def test_unreadable_head_file_is_a_problem(chain: None) -> None:
    head_file().write_text("{}")
    assert "cannot be read" in verify().problem


def test_events_unsealed_for_long_are_reported(chain: None) -> None:
    rows.create(action="sign_in", at=timezone.now() - timedelta(minutes=11))
    assert verify().overdue == 1


def test_event_model_refuses_changes_and_deletions(chain: None) -> None:
    event = Event.objects.get(number=1)
    attempts: list[Callable[[], object]] = [
        event.save,
        event.delete,
        lambda: Event.objects.filter(number=1).update(subject=""),
        Event.objects.all().delete,
        lambda: Event.objects.bulk_update([event], ["subject"]),
    ]
    for attempt in attempts:
        with pytest.raises(AppendOnly):
            attempt()


def test_database_refuses_changes_to_sealed_events(chain: None) -> None:
    execute(*getattr(guards, connection.vendor.upper()))
    for attempt in (lambda: rows.filter(number=1).update(subject=""), lambda: rows.filter(number=1).delete()):
        with pytest.raises(DatabaseError, match="audit event cannot be"), transaction.atomic():
            attempt()
    record("sign_in", actor=None)
    assert seal_all() == 1


def test_repeated_event_is_recorded_once(db: None) -> None:
    ada, bob = uuid4(), uuid4()
    for actor in (ada, ada, bob, ada):
        record_unless_recent("document.opened", actor=actor, subject="document:1")
    assert Event.objects.count() == 2
