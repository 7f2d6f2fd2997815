"""Counting, by many at once, over days and minutes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cairn.access.principals import principal_for_key, principal_for_user
from cairn.access.scope import Principal
from cairn.accounts.models import Group, User
from cairn.accounts.services import api_key_create
from cairn.errors import QuotaExceeded, RateLimited
from cairn.limits.concurrency import LEASE_DURATION, SlotLease, slot_take
from cairn.limits.models import Slot, Usage
from cairn.limits.rate_limits import (
    question_charge,
    search_count,
    tokens_charge,
    upload_count,
    usage_tidy,
    used_today,
)
from cairn.limits.rules import Measure, allowance_of
from cairn.limits.services import limit_set

NOON = datetime(2026, 3, 4, 12, 0, 10, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(NOON)
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def mia(make_user: Callable[..., User]) -> User:
    return make_user("mia")


def allow(subject: str, **values: int | None) -> None:
    limit_set(subject=subject, values={Measure(name): most for name, most in values.items()}, actor=None)


def ask(principal: Principal) -> None:
    question_charge(principal, allowance_of(principal))


def most(principal: Principal, measure: Measure) -> int | None:
    return allowance_of(principal).most[measure]


def asked_until_refused(principal: Principal, *, at_most: int = 50) -> int:
    for asked in range(at_most):
        try:
            ask(principal)
        except (RateLimited, QuotaExceeded):
            return asked
    return at_most


def test_questions_per_minute_are_allowed_again_after_the_minute(mia: User, clock: Clock) -> None:
    allow("everyone", questions_per_minute=3)
    principal = principal_for_user(mia)
    assert asked_until_refused(principal) == 3
    with pytest.raises(RateLimited) as refused:
        ask(principal)
    assert (refused.value.code, refused.value.retry_after) == ("rate_limited", 50)
    assert "3 questions per minute" in refused.value.message
    clock.now += timedelta(seconds=50)
    assert asked_until_refused(principal) == 3
    assert used_today(allowance_of(principal))["questions"] == 6


def test_daily_quota_resets_at_midnight(mia: User, clock: Clock) -> None:
    allow(f"user:{mia.id}", questions_per_day=2, questions_per_minute=None)
    principal = principal_for_user(mia)
    assert asked_until_refused(principal) == 2
    clock.now += timedelta(minutes=5)
    with pytest.raises(QuotaExceeded) as refused:
        ask(principal)
    assert refused.value.code == "quota_exceeded"
    assert clock.now + timedelta(seconds=refused.value.retry_after) > NOON.replace(
        hour=0, second=0
    ) + timedelta(days=1)
    clock.now = NOON + timedelta(days=1)
    assert asked_until_refused(principal) == 2
    usage_tidy()
    assert [row.day for row in Usage.objects.all()] == [clock.now.date()]


def test_limit_of_zero_allows_nothing(mia: User) -> None:
    allow(f"user:{mia.id}", questions_per_minute=0)
    assert asked_until_refused(principal_for_user(mia)) == 0
    allow(f"user:{mia.id}", questions_per_day=0)
    assert asked_until_refused(principal_for_user(mia)) == 0


def test_refused_uploads_are_not_counted(mia: User, clock: Clock) -> None:
    allow("everyone", upload_mb_per_day=1)
    principal = principal_for_user(mia)
    with pytest.raises(QuotaExceeded):
        upload_count(principal, size=(1 << 20) + 1)
    upload_count(principal, size=1 << 20)
    with pytest.raises(QuotaExceeded):
        upload_count(principal, size=1)
    assert used_today(allowance_of(principal)) | {"uploads": 1, "bytes": 1 << 20} == used_today(
        allowance_of(principal)
    )


def test_tokens_are_charged_after_the_answer(mia: User, clock: Clock) -> None:
    allow("everyone", tokens_per_day=100)
    principal = principal_for_user(mia)
    ask(principal)
    tokens_charge(principal, allowance_of(principal), 100)
    with pytest.raises(QuotaExceeded, match="100 model tokens"):
        ask(principal)
    assert used_today(allowance_of(principal))["questions"] == 1


def test_most_specific_limit_wins_and_the_most_generous_of_groups(mia: User) -> None:
    measure = Measure.QUESTIONS_PER_DAY
    groups = [Group.objects.create(name=name) for name in ("one", "two", "three")]
    for group in groups:
        group.members.add(mia)
    assert most(principal_for_user(mia), measure) is None
    assert most(principal_for_user(mia), Measure.QUESTIONS_PER_MINUTE) == 300
    allow("everyone", questions_per_day=5)
    assert most(principal_for_user(mia), measure) == 5
    allow(f"group:{groups[0].id}", questions_per_day=2)
    allow(f"group:{groups[1].id}", questions_per_day=3)
    assert most(principal_for_user(mia), measure) == 3
    allow(f"group:{groups[2].id}", questions_per_day=None)
    assert most(principal_for_user(mia), measure) is None
    allow(f"user:{mia.id}", questions_per_day=1)
    assert most(principal_for_user(mia), measure) == 1
    groups[0].members.clear()
    allow(f"user:{mia.id}")
    allow(f"group:{groups[2].id}")
    assert most(principal_for_user(mia), measure) == 3


def test_api_key_shares_its_users_limits_unless_it_has_its_own(mia: User) -> None:
    row, _ = api_key_create(user=mia, label="one")
    other, _ = api_key_create(user=mia, label="two")
    allow(f"user:{mia.id}", questions_per_day=3, questions_per_minute=None)
    ask(principal_for_user(mia))
    ask(principal_for_key(row))
    ask(principal_for_key(other))
    for principal in (principal_for_user(mia), principal_for_key(row), principal_for_key(other)):
        assert asked_until_refused(principal) == 0
    used = dict(Usage.objects.values_list("owner", "questions"))
    assert used == {mia.id: 3, row.id: 1, other.id: 1}
    allow(f"key:{other.id}", questions_per_day=5)
    assert asked_until_refused(principal_for_key(other)) == 4
    assert asked_until_refused(principal_for_user(mia)) == 0


def test_unlimited_uploads_are_counted_too(mia: User) -> None:
    key, _ = api_key_create(user=mia, label="one")
    for principal in (principal_for_user(mia), principal_for_key(key)):
        upload_count(principal, size=5)
    assert dict(Usage.objects.values_list("owner", "bytes")) == {mia.id: 10, key.id: 5}


def test_impersonation_uses_no_quota_of_the_user(mia: User) -> None:
    allow(f"user:{mia.id}", searches_per_minute=1)
    viewing = replace(principal_for_user(mia), viewer=uuid4())
    for _ in range(3):
        search_count(viewing)
    assert not Usage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_questions_get_exactly_the_allowed_number(mia: User) -> None:
    allow("everyone", questions_per_day=17, questions_per_minute=None)
    key, _ = api_key_create(user=mia, label="program")
    principals = [principal_for_user(mia), principal_for_key(key)] * 20
    together = threading.Barrier(8)

    def try_one(principal: Principal) -> bool:
        try:
            if not together.broken:
                together.wait(5)
            ask(principal)
        except (QuotaExceeded, threading.BrokenBarrierError):
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(try_one, principals))
    assert sum(allowed) == 17
    assert Usage.objects.get(owner=mia.id).questions == 17


def test_counting_takes_two_statements(mia: User) -> None:
    key, _ = api_key_create(user=mia, label="program")
    for principal in (principal_for_user(mia), principal_for_key(key)):
        ask(principal)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            ask(principal)
        kinds = [query["sql"].split()[0] for query in queries.captured_queries]
        assert [kind for kind in kinds if kind not in {"SAVEPOINT", "RELEASE"}] == ["SELECT", "UPDATE"]


def test_unlimited_searches_are_not_stored(mia: User) -> None:
    principal = principal_for_user(mia)
    with CaptureQueriesContext(connection) as queries:
        search_count(principal)
    assert len(queries.captured_queries) == 1
    assert not Usage.objects.exists()


# How many at once ------------------------------------------------------------------------------------------


def take(principal: Principal) -> SlotLease:
    return slot_take(principal, allowance_of(principal))


def test_concurrent_answers_are_limited(mia: User) -> None:
    allow("everyone", streams_at_once=4)
    principal = principal_for_user(mia)
    slots = [take(principal) for _ in range(4)]
    with pytest.raises(RateLimited, match="4 questions"):
        take(principal)
    slots[2].release()
    take(principal)
    with pytest.raises(RateLimited):
        take(principal)


def test_slot_of_a_dead_process_is_released_after_a_minute(mia: User, clock: Clock) -> None:
    allow("everyone", streams_at_once=2)
    principal = principal_for_user(mia)
    dead, alive = take(principal), take(principal)
    clock.now += LEASE_DURATION / 2
    alive.renew()
    clock.now += LEASE_DURATION / 2
    follower = take(principal)
    with pytest.raises(RateLimited):
        take(principal)
    dead.release()  # it was not dead, only slow: the place is another's by now
    assert Slot.objects.count() == 2
    follower.release()
    assert Slot.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_last_concurrent_answer_slot_is_given_once(mia: User) -> None:
    allow("everyone", streams_at_once=3)
    principal = principal_for_user(mia)
    together = threading.Barrier(8)

    def try_one(_: int) -> bool:
        try:
            together.wait(5)
            take(principal)
        except RateLimited:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_one, range(8))) == 3
