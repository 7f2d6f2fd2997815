"""Workers and beat report that they run, and deregister when they end."""

import threading
import time
from collections.abc import Callable

import pytest

from ingestion.jobs import presence
from ingestion.jobs.presence import Presence, load_processes
from ingestion.models import ProcessKind, RunningProcess

WITHIN_SECONDS = 20


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WITHIN_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    monkeypatch.setattr(presence, "INTERVAL_SECONDS", 0.02)


def test_process_reports_until_it_ends() -> None:
    running = Presence(ProcessKind.WORKER, queues=["bulk"])
    running.start()
    until(lambda: RunningProcess.objects.exists())
    first = RunningProcess.objects.get()
    until(lambda: RunningProcess.objects.get().seen_at > first.seen_at)
    (report,) = load_processes(ProcessKind.WORKER)
    assert (report.name, report.is_silent) == (f"{first.host}:{first.pid}", False)
    assert not load_processes(ProcessKind.BEAT)
    running.stop(timeout=WITHIN_SECONDS)
    assert not RunningProcess.objects.exists()


def test_process_with_dead_threads_stops_reporting() -> None:
    dead = threading.Event()
    running = Presence(ProcessKind.BEAT, is_alive=lambda: not dead.is_set())
    running.start()
    until(lambda: RunningProcess.objects.exists())
    dead.set()
    time.sleep(0.2)
    seen = RunningProcess.objects.get().seen_at
    time.sleep(0.2)
    assert RunningProcess.objects.get().seen_at == seen
    running.stop(timeout=WITHIN_SECONDS)
