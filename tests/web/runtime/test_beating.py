"""One of several beats sends the scheduled tasks."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.utils import timezone

from cairn.celery import app
from ingestion import beat_lease
from ingestion.models import Clock
from web.processes import leader_scheduler
from web.processes.leader_scheduler import TurnTaking

pytestmark = pytest.mark.django_db
FIRST, SECOND = uuid4(), uuid4()


def test_beat_lease_has_one_owner_until_it_expires() -> None:
    assert beat_lease.acquire_beat_lease(FIRST)
    assert not beat_lease.acquire_beat_lease(SECOND)
    assert beat_lease.acquire_beat_lease(FIRST)
    Clock.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert beat_lease.acquire_beat_lease(SECOND)
    assert not beat_lease.acquire_beat_lease(FIRST)


def test_released_beat_lease_is_acquired_immediately() -> None:
    beat_lease.acquire_beat_lease(FIRST)
    beat_lease.release_beat_lease(SECOND)
    assert not beat_lease.acquire_beat_lease(SECOND)
    beat_lease.release_beat_lease(FIRST)
    assert beat_lease.acquire_beat_lease(SECOND)


@pytest.fixture
def sent_tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tasks sent by a beat created after this, for which everything is due."""
    names: list[str] = []

    def apply(_beat: TurnTaking, entry: Any, *_args: Any, **_options: Any) -> None:
        names.append(entry.task)

    monkeypatch.setattr(TurnTaking, "apply_entry", apply)
    monkeypatch.setattr(
        leader_scheduler.connections, "close_all", lambda: None
    )  # the test's own is one of them
    return names


def beat() -> TurnTaking:
    made = TurnTaking(app=app, lazy=True, schedule={})
    made.add(name="due", task="ingestion.sweep", schedule=timedelta(0))
    return made


def test_second_beat_sends_nothing_while_the_first_has_the_lease(sent_tasks: list[str]) -> None:
    beat_lease.acquire_beat_lease(FIRST)
    waiting = beat()
    for _ in range(3):
        waiting.tick()
    assert sent_tasks == []
    beat_lease.release_beat_lease(FIRST)
    for _ in range(3):
        waiting.tick()
    assert sent_tasks


def test_beat_sends_nothing_while_the_database_is_unavailable(
    sent_tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_holder: object) -> bool:
        raise DatabaseError

    monkeypatch.setattr(leader_scheduler, "acquire_beat_lease", away)
    beat().tick()
    assert sent_tasks == []
