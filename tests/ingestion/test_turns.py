"""The fair order of jobs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Max
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import KnowledgeBase
from ingestion.jobs import lifecycle
from ingestion.jobs.fair_queue import MAX_INTERACTIVE_JOBS, lane_for, next_ticket
from ingestion.models import Job, Lane, Stage
from tests.ingestion.queueing import queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> User:
    return user_create(username="ada")


@pytest.fixture
def bob(db: None) -> User:
    return user_create(username="bob")


def served(count: int, lane: Lane = Lane.BULK) -> list[str]:
    """Return the names of the users whose jobs are taken, in order."""
    names = []
    for _ in range(count):
        lease = lifecycle.claim_next(lane)
        assert lease is not None
        names.append(Job.objects.select_related("user").get(pk=lease.job).user.username)  # type: ignore[union-attr]
    return names


def test_users_take_turns_regardless_of_their_job_count(base: KnowledgeBase, ada: User, bob: User) -> None:
    queued(base, ada, count=50)
    assert served(10) == ["ada"] * 10
    queued(base, bob, count=3)
    assert served(8) == ["ada", "bob", "ada", "bob", "ada", "bob", "ada", "ada"]


def test_oldest_first_within_a_user(base: KnowledgeBase, ada: User) -> None:
    jobs = [*queued(base, ada, count=3), *queued(base, ada, count=2)]
    taken = [lifecycle.claim_next(Lane.BULK) for _ in jobs]
    assert [lease.job for lease in taken if lease] == [job.id for job in jobs]


def test_interactive_lane_precedes_bulk(base: KnowledgeBase, ada: User, bob: User) -> None:
    queued(base, ada, count=5)
    queued(base, bob, lane=Lane.INTERACTIVE)
    assert served(2) == ["bob", "ada"]


def test_interactive_worker_never_takes_bulk_jobs(base: KnowledgeBase, ada: User) -> None:
    queued(base, ada, count=5)
    assert lifecycle.claim_next(Lane.INTERACTIVE) is None
    assert lifecycle.claim_next(Lane.BULK) is not None


def test_delayed_job_waits_and_is_first_afterwards(base: KnowledgeBase, ada: User) -> None:
    first, second, _ = queued(base, ada, count=3)
    Job.objects.filter(pk=first.pk).update(not_before=timezone.now() + timedelta(seconds=5))
    lease = lifecycle.claim_next(Lane.BULK)
    assert lease is not None
    assert lease.job == second.id
    Job.objects.filter(pk=first.pk).update(not_before=timezone.now() - timedelta(seconds=1))
    lease = lifecycle.claim_next(Lane.BULK)
    assert lease is not None
    assert lease.job == first.id


def test_delayed_retry_gives_no_advantage(base: KnowledgeBase, ada: User, bob: User) -> None:
    (old,) = queued(base, ada)
    Job.objects.filter(pk=old.pk).update(not_before=timezone.now() + timedelta(seconds=30))
    queued(base, ada, count=20)
    served(10)
    queued(base, bob, count=5)
    assert served(4) == ["ada", "bob", "ada", "bob"]


def test_returned_job_preserves_its_turn(base: KnowledgeBase, ada: User, bob: User) -> None:
    queued(base, ada, count=10)
    lease = lifecycle.claim_next(Lane.BULK)
    assert lease is not None
    queued(base, bob, count=10)
    lifecycle.hand_back(lease)
    again = lifecycle.claim_next(Lane.BULK)
    assert again is not None
    assert again.job == lease.job


def test_user_with_many_interactive_jobs_gets_the_bulk_lane(base: KnowledgeBase, ada: User) -> None:
    assert lane_for(ada.id) == Lane.INTERACTIVE
    queued(base, ada, lane=Lane.INTERACTIVE, count=MAX_INTERACTIVE_JOBS)
    assert lane_for(ada.id) == Lane.BULK


@pytest.mark.slow
def test_claiming_costs_the_same_however_many_wait(base: KnowledgeBase, ada: User) -> None:
    """The order comes from an index: nothing is sorted, and no more rows are read than are taken."""
    queued(base, ada)
    with CaptureQueriesContext(connection) as few:
        lifecycle.claim_next(Lane.BULK)
    queued(base, ada, count=2000)
    with CaptureQueriesContext(connection) as many:
        lifecycle.claim_next(Lane.BULK)
    assert len(many) == len(few)
    plan = Job.objects.due().filter(lane=Lane.BULK).in_order()[:1].explain()
    assert "job_queue" in plan
    if connection.vendor == "sqlite":
        assert "SCAN" not in plan


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses its plan by the number of rows")
def test_queueing_costs_the_same_however_many_jobs_of_the_user_wait(base: KnowledgeBase, ada: User) -> None:
    """The user's last turn comes from an index, whose condition SQLite must know without the parameters."""
    queued(base, ada, count=3)
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        execute(f"EXPLAIN QUERY PLAN {sql}", params, many, context)
        plans.extend(str(row) for row in context["cursor"].fetchall())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        ticket = next_ticket(Lane.BULK, ada.pk)
    assert ticket == Job.objects.aggregate(last=Max("turn"))["last"] + 1
    assert len(plans) == 1
    assert "USING INDEX job_queue_of_user (user_id=? AND lane=? AND stage=?)" in plans[0]


@pytest.mark.django_db(transaction=True)
def test_concurrent_workers_get_different_jobs(base: KnowledgeBase, ada: User) -> None:
    queued(base, ada, count=40)

    def take(_: int) -> object:
        try:
            lease = lifecycle.claim_next(Lane.BULK)
            return lease and lease.job
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(48)))
    jobs = [job for job in taken if job]
    assert len(jobs) == len(set(jobs)) == 40
    assert set(Job.objects.values_list("stage", "attempts")) == {(Stage.PARSING.value, 1)}
