"""Processes whose clock is a day off, or jumps: the database's clock counts."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

import pytest
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.errors import Rejection, Unavailable
from cairn.library.models import Document, KnowledgeBase
from ingestion import broker
from ingestion.documents.services import document_delete
from ingestion.erasure import documents
from ingestion.imports.services import IDLE_TIMEOUT, ImportState, import_open, summary
from ingestion.jobs import lifecycle, sweeper
from ingestion.jobs.progress import QueueStatus, queue_statuses
from ingestion.models import LEASE, Job, Lane, Receipt, Stage
from tests.ingestion.conftest import Submit
from tests.ingestion.parts import FakeIndex

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
OFF = pytest.mark.parametrize("off", [DAY, -DAY], ids=["ahead", "behind"])
SetClock = Callable[[timedelta], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Set the clock of this process, but not that of the database."""

    def set_off(off: timedelta) -> None:
        class Wrong(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + off

        monkeypatch.setattr(timezone, "datetime", Wrong)

    return set_off


@pytest.fixture
def sent_messages(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Messages that the sweeper sends."""
    found: list[object] = []
    monkeypatch.setattr(broker, "send", lambda task, _where, *args: found.append((task, *args)))
    return found


def reread(job: Job) -> Job:
    return Job.objects.select_related("version__document").get(pk=job.pk)


def status_of(job: Job) -> QueueStatus:
    return queue_statuses([reread(job)])[job.id]


def seconds_off(at: datetime | None) -> float:
    assert at is not None
    return abs((at - datetime.now(tz=at.tzinfo)).total_seconds())


@OFF
def test_clock_jump_between_claim_and_renewal_loses_no_lease(
    submit: Submit, set_clock: SetClock, off: timedelta
) -> None:
    job = submit().job
    assert job is not None
    lease = lifecycle.claim(job.id)
    assert lease is not None
    set_clock(off)
    assert lifecycle.renew([lease.token]) == {lease.token: False}
    lease.enter(Stage.EMBEDDING, total=100)
    lease.progress(1)
    assert lifecycle.claim(job.id) is None
    assert lifecycle.requeue_dropped_jobs() == 0
    set_clock(timedelta(0))
    lifecycle.renew([lease.token])
    assert lifecycle.requeue_dropped_jobs() == 0
    assert seconds_off(reread(job).lease_until) <= LEASE.total_seconds()


@OFF
def test_retry_delay_does_not_depend_on_the_clock_of_the_process(
    submit: Submit, set_clock: SetClock, off: timedelta
) -> None:
    job = submit().job
    assert job is not None
    set_clock(off)
    lease = lifecycle.claim(job.id)
    assert lease is not None
    assert lifecycle.postpone(lease, Rejection.EMBEDDING_FAILED, "no answer")
    row = reread(job)
    assert seconds_off(row.not_before) <= lifecycle.BACKOFF.total_seconds()
    assert row.not_before is not None
    assert lifecycle.claim(job.id) is None
    Job.objects.update(not_before=row.not_before - lifecycle.BACKOFF)
    assert lifecycle.claim(job.id) is not None


@OFF
def test_remaining_time_uses_the_database_clock(submit: Submit, set_clock: SetClock, off: timedelta) -> None:
    """A jump while one is read and another waits for its second attempt."""
    done, running, paused = (
        submit(name, filename=f"{name}.md").job for name in ("done", "running", "paused")
    )
    assert done
    assert running
    assert paused
    for job in (done, running, paused):
        lease = lifecycle.claim(job.id)
        assert lease is not None
        if job is running:
            lease.enter(Stage.EMBEDDING, total=100)
            set_clock(off)
            lease.progress(50)
        elif job is done:
            set_clock(off)
            lifecycle.activate(lease, title="Done")
            set_clock(timedelta(0))
        else:
            lifecycle.postpone(lease, Rejection.EMBEDDING_FAILED, "no answer")
    for now in (timedelta(0), off):
        set_clock(now)
        at_work, waiting = status_of(running), status_of(paused)
        assert at_work.eta is not None
        assert 0 <= at_work.eta < 60
        assert waiting.eta is not None
        assert 0 <= waiting.eta <= lifecycle.BACKOFF.total_seconds()
    for row in map(reread, (done, running, paused)):
        assert seconds_off(row.stage_since) < 60
        assert row.started_at is not None
        assert seconds_off(row.started_at) < 60


def test_retry_time_written_by_a_wrong_clock_is_not_shown(submit: Submit) -> None:
    first, second = submit("a").job, submit("b", filename="b.md").job
    assert first
    assert second
    lease = lifecycle.claim(first.id)
    assert lease is not None
    lifecycle.activate(lease, title="First")
    Job.objects.filter(pk=second.pk).update(not_before=timezone.now() + DAY)
    eta = status_of(second).eta
    assert eta is not None
    assert 0 <= eta < 60


@OFF
def test_lost_messages_are_resent_despite_clock_differences(
    submit: Submit, set_clock: SetClock, sent_messages: list[object], off: timedelta
) -> None:
    """A web process with a wrong clock took the upload; a worker with a wrong one finished the last job."""
    set_clock(off)
    done = submit("done", filename="done.md").job
    assert done is not None
    lease = lifecycle.claim(done.id)
    assert lease is not None
    lifecycle.activate(lease, title="Done")
    submit("waits")
    set_clock(timedelta(0))
    Job.objects.filter(pk=done.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    sent_messages.clear()
    assert sweeper.wake() == 1
    assert sent_messages == [("ingestion.work", Lane.INTERACTIVE.value, True)]


@OFF
def test_erasure_waits_for_the_worker_processing_the_document(
    submit: Submit, admin: Principal, set_clock: SetClock, off: timedelta
) -> None:
    """Otherwise it would write passages after their removal, and they would stay forever."""
    submission = submit()
    assert submission.job is not None
    assert lifecycle.claim(submission.job.id) is not None
    receipt = document_delete(document=submission.document, principal=admin)
    set_clock(off)
    with pytest.raises(Unavailable):
        documents.erase(receipt.id, FakeIndex())
    assert Document.objects.filter(pk=submission.document.pk).exists()


def test_process_with_a_fast_clock_forgets_no_idempotency_key(submit: Submit, set_clock: SetClock) -> None:
    first = submit(idempotency_key="one")
    set_clock(2 * DAY)
    submit("other words", filename="b.md", idempotency_key="two")
    set_clock(timedelta(0))
    again = submit(idempotency_key="one")
    assert (again.document, again.job, again.created_job) == (first.document, first.job, True)


def test_erasure_with_a_future_time_is_not_forgotten(sent_messages: list[object]) -> None:
    receipt = Receipt.objects.create(object="document:x", created_at=timezone.now() + DAY)
    assert sweeper.sweep() == 1
    assert sent_messages == [("ingestion.erase", str(receipt.id))]


def test_index_refresh_with_a_future_time_is_not_forgotten(
    submit: Submit, sent_messages: list[object]
) -> None:
    document = submit().document
    Document.objects.update(index_stale=True, updated_at=timezone.now() + DAY)
    sent_messages.clear()
    assert sweeper.sweep() == 1
    assert sent_messages == [("ingestion.refresh", str(document.id))]


@OFF
def test_import_opened_with_a_wrong_clock_ends(
    base: KnowledgeBase, set_clock: SetClock, off: timedelta
) -> None:
    set_clock(off)
    batch = import_open(knowledge_base=base, label="drive", user=None)
    assert summary(batch).state == ImportState.RECEIVING
    set_clock(timedelta(0))
    assert IDLE_TIMEOUT < DAY
    assert summary(batch).state == ImportState.DONE
