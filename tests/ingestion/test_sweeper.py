"""Work lost by the broker or dropped by a worker is resumed from the database."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import KnowledgeBase
from ingestion import broker, tasks
from ingestion.jobs import lifecycle, sweeper
from ingestion.models import Job, Lane, Receipt, ReceiptState, Stage
from tests.ingestion.queueing import queued

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def ada(db: None) -> User:
    return user_create(username="ada")


@pytest.fixture
def sent_messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    monkeypatch.setattr(broker, "send", lambda task, _where, *args: found.append((task, *args)))
    return found


def age_all() -> None:
    Job.objects.update(updated_at=timezone.now() - LONG_AGO)


def test_sleeping_lane_is_woken_by_a_few_messages(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]]
) -> None:
    queued(base, ada, count=30)
    assert sweeper.wake() == 0, "their own messages are on the way"
    age_all()
    assert sweeper.wake() == sweeper.TOKENS
    assert sent_messages == [("ingestion.work", Lane.BULK.value, True)] * sweeper.TOKENS


def test_messages_never_exceed_jobs(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]]
) -> None:
    queued(base, ada, lane=Lane.INTERACTIVE)
    queued(base, ada, count=2)
    age_all()
    assert sweeper.wake() == len(sent_messages) == 3


def test_active_lane_is_not_woken(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]]
) -> None:
    queued(base, ada, count=5)
    age_all()
    lifecycle.claim_next(Lane.BULK)
    assert sweeper.wake() == 0
    queued(base, ada, lane=Lane.INTERACTIVE)
    age_all()
    assert sweeper.wake() > 0, "its jobs say nothing about the other lane"


def test_delayed_job_wakes_no_worker_before_its_time(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]]
) -> None:
    queued(base, ada)
    Job.objects.update(not_before=timezone.now() + timedelta(seconds=60))
    age_all()
    assert sweeper.wake() == 0
    Job.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    age_all()
    assert sweeper.wake() == 1


def test_wake_up_message_is_passed_on_until_the_lane_is_empty(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(base, ada, count=3)
    monkeypatch.setattr("ingestion.pipeline.run.process", lambda _lease: None)
    tasks.work(Lane.BULK.value, again=True)
    while sent_messages:
        _, lane, again = sent_messages.pop()
        tasks.work(lane, again=again)
    assert set(Job.objects.values_list("stage", flat=True)) == {Stage.PARSING.value}


def test_message_used_for_another_lane_is_passed_on(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(base, ada)
    queued(base, ada, lane=Lane.INTERACTIVE)
    monkeypatch.setattr("ingestion.pipeline.run.process", lambda _lease: None)
    tasks.work(Lane.BULK.value)
    assert Job.objects.get(stage=Stage.PARSING).lane == Lane.INTERACTIVE
    assert sent_messages == [("ingestion.work", Lane.BULK.value, False)]


def test_dropped_job_returns_to_its_lane(
    base: KnowledgeBase, ada: User, sent_messages: list[tuple[object, ...]]
) -> None:
    (job,) = queued(base, ada)
    assert lifecycle.claim(job.id)
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweeper.wake() == 0, "it was taken a moment ago, so the lane is awake"
    job.refresh_from_db()
    assert (job.stage, job.last_error) == (Stage.QUEUED, "The worker stopped.")


def test_waiting_erasures_are_resent(sent_messages: list[tuple[object, ...]]) -> None:
    old = Receipt.objects.create(object="document:x", created_at=timezone.now() - LONG_AGO)
    Receipt.objects.create(object="document:y")
    Receipt.objects.create(object="document:z", state=ReceiptState.DONE, created_at=timezone.now() - LONG_AGO)
    assert sweeper.sweep() == 1
    assert sent_messages == [("ingestion.erase", str(old.id))]
    assert sweeper.sweep(age=timedelta(0), limit=None) == 2
