"""Leases: who may move a job, and what becomes of one that lost its worker."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from cairn.errors import DocumentRejected, Rejection
from cairn.library.models import Document
from cairn.settings import environment
from ingestion.jobs import lifecycle, sweeper
from ingestion.jobs.lifecycle import Lease, LeaseLost
from ingestion.models import Job, Lane, Stage
from tests.ingestion.conftest import Submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(submit: Submit) -> Job:
    found = submit().job
    assert found is not None
    return found


def claimed(job: Job) -> Lease:
    lease = lifecycle.claim(job.id)
    assert lease is not None
    return lease


def expire(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def reread(job: Job) -> Job:
    return Job.objects.select_related("version__document").get(pk=job.pk)


def test_job_is_claimed_once(job: Job) -> None:
    claimed(job)
    assert lifecycle.claim(job.id) is None


def test_worker_with_an_expired_lease_changes_nothing(job: Job) -> None:
    late = claimed(job)
    expire(job)
    claimed(job)
    for act in (
        lambda: late.enter(Stage.EMBEDDING),
        lambda: lifecycle.activate(late, title="late"),
        lambda: lifecycle.fail(late, DocumentRejected(Rejection.NO_TEXT, "late")),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert reread(job).version.document.active_version is None


def test_activation_makes_a_version_searchable(job: Job) -> None:
    assert lifecycle.activate(claimed(job), title="Title").idle is None
    document = reread(job).version.document
    assert document.status == "ready"
    assert document.title == "Title"


def test_old_version_is_active_until_the_switch_and_idle_afterwards(submit: Submit, job: Job) -> None:
    lifecycle.activate(claimed(job), title="one")
    newer = submit("two").job
    assert newer is not None
    lease = claimed(newer)
    assert reread(newer).version.document.active_version == job.version
    assert lifecycle.activate(lease, title="two").idle == job.version
    assert reread(newer).version.document.active_version == newer.version


def test_late_older_version_is_not_activated(submit: Submit, job: Job) -> None:
    slow = claimed(job)
    newer = submit("two").job
    assert newer is not None
    lifecycle.activate(claimed(newer), title="two")
    assert lifecycle.activate(slow, title="one").idle == job.version
    assert reread(job).version.document.active_version == newer.version


def test_document_deleted_during_processing_is_not_activated(job: Job) -> None:
    lease = claimed(job)
    Document.objects.update(deleted_at=timezone.now())
    with pytest.raises(LeaseLost):
        lifecycle.activate(lease, title="x")


def test_pauses_grow_and_attempts_are_capped(job: Job) -> None:
    pauses = []
    for _ in range(environment().job_max_attempts):
        lease = claimed(job)
        if lifecycle.postpone(lease, Rejection.EMBEDDING_FAILED, "no answer"):
            row = reread(job)
            assert row.not_before is not None
            pauses.append((row.not_before - timezone.now()).total_seconds())
            assert lifecycle.claim(job.id) is None
            Job.objects.update(not_before=None)
    assert pauses == sorted(pauses)
    row = reread(job)
    assert row.stage == Stage.FAILED
    assert row.version.error_code == "embedding_failed"


def test_job_killing_its_workers_fails_after_its_attempts(job: Job) -> None:
    for _ in range(environment().job_max_attempts):
        claimed(job)
        expire(job)
    assert lifecycle.claim(job.id) is None
    assert reread(job).version.error_code == "parser_crashed"


def test_handing_back_costs_no_attempt(job: Job) -> None:
    lifecycle.hand_back(claimed(job))
    row = reread(job)
    assert (row.stage, row.attempts) == (Stage.QUEUED, 0)


def test_cancelled_job_ends_at_its_next_check(job: Job) -> None:
    lease = claimed(job)
    Job.objects.update(cancel_requested=True)
    assert lifecycle.renew([lease.token]) == {lease.token: True}
    lease.cancel.set()
    with pytest.raises(DocumentRejected) as caught:
        lease.progress(1)
    assert caught.value.reason == Rejection.CANCELLED
    lifecycle.fail(lease, caught.value)
    assert reread(job).stage == Stage.CANCELLED


def test_job_cancelled_after_its_last_check_is_not_activated(job: Job) -> None:
    lease = claimed(job)
    Job.objects.update(cancel_requested=True)
    with pytest.raises(DocumentRejected) as caught:
        lifecycle.activate(lease, title="x")
    assert caught.value.reason == Rejection.CANCELLED
    assert reread(job).version.document.active_version is None


def test_leases_and_pauses_too_far_in_the_future_are_ignored(job: Job) -> None:
    claimed(job)
    Job.objects.update(lease_until=timezone.now() + timedelta(days=1))
    lease = claimed(job)
    lifecycle.postpone(lease, Rejection.EMBEDDING_FAILED, "no answer")
    assert lifecycle.claim(job.id) is None
    Job.objects.update(not_before=timezone.now() + timedelta(days=1))
    assert lifecycle.claim(job.id) is not None


def test_worker_with_a_fast_clock_steals_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed(job)
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime.now(UTC) + timedelta(days=1))
    assert lifecycle.claim(job.id) is None
    assert lifecycle.requeue_dropped_jobs() == 0


def test_dropped_job_is_queued_again_and_its_attempt_counted(job: Job) -> None:
    claimed(job)
    assert lifecycle.requeue_dropped_jobs() == 0, "held"
    expire(job)
    assert lifecycle.requeue_dropped_jobs() == 1
    row = reread(job)
    assert (row.stage, row.attempts, row.lease, row.last_error) == (
        Stage.QUEUED, 1, None, "The worker stopped.",
    )  # fmt: skip
    assert row.version.state == "queued"


def test_dropped_cancelled_job_ends(job: Job) -> None:
    claimed(job)
    expire(job)
    Job.objects.update(cancel_requested=True)
    lifecycle.requeue_dropped_jobs()
    assert reread(job).stage == Stage.CANCELLED


def test_last_error_is_preserved_during_the_next_attempt(job: Job) -> None:
    lifecycle.postpone(
        claimed(job), Rejection.EMBEDDING_FAILED, "no answer", error="Unavailable while embedding"
    )
    assert reread(job).last_error == "Unavailable while embedding"
    Job.objects.update(not_before=None)
    claimed(job)
    assert reread(job).last_error == "Unavailable while embedding"


def test_job_of_a_deleted_document_ends_at_its_turn(job: Job) -> None:
    Document.objects.update(deleted_at=timezone.now())
    assert lifecycle.claim_next(Lane.INTERACTIVE) is None
    assert reread(job).stage == Stage.CANCELLED


def test_single_process_start_releases_dead_leases(job: Job) -> None:
    claimed(job)
    assert sweeper.leases_release_all() == 1
    assert lifecycle.claim(job.id) is not None
