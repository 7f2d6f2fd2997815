"""Checks run in parallel: one at a time of each, however many ask for it."""

import threading
from concurrent.futures import ThreadPoolExecutor

from web.health.deadline import ParallelChecks
from web.health.results import HealthResult, HealthState

FINE = HealthResult(HealthState.OK, "fine")
LATE = HealthResult(HealthState.PROBLEM, "late")


class Slow:
    """A check that ends when released."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_end = threading.Event()

    def __call__(self) -> HealthResult:
        self.calls += 1
        self.may_end.wait(30)
        return FINE


def ask(checks: ParallelChecks, slow: Slow, seconds: float) -> HealthResult:
    found = checks.run({"slow": slow}, seconds, on_timeout=lambda _: LATE, on_error=lambda *_: LATE)
    return found["slow"]


def test_concurrent_callers_share_a_health_check() -> None:
    checks, slow = ParallelChecks(), Slow()
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask, checks, slow, 20) for _ in range(5)]
        threading.Timer(0.5, slow.may_end.set).start()
        assert {each.result() for each in asked} == {FINE}
    assert slow.calls == 1


def test_hanging_health_check_is_not_joined_and_a_later_one_is_new() -> None:
    checks, slow = ParallelChecks(), Slow()
    assert [ask(checks, slow, 0.05), ask(checks, slow, 20)] == [LATE, LATE]
    assert slow.calls == 1
    slow.may_end.set()
    while (found := ask(checks, slow, 20)) == LATE:
        pass
    assert found == FINE
    assert slow.calls == 2
