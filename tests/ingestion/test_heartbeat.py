"""One thread renews the leases of all jobs of a process."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.utils import timezone

from ingestion.jobs import lifecycle
from ingestion.jobs.heartbeat import Heartbeat
from ingestion.jobs.lifecycle import Lease, LeaseLost
from ingestion.models import Job
from tests.ingestion.conftest import Submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leases(submit: Submit) -> list[Lease]:
    jobs = [submit(f"words {name}", f"{name}.md").job for name in "ab"]
    found = [lifecycle.claim(job.id) for job in jobs if job is not None]
    return [lease for lease in found if lease is not None]


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def heartbeats() -> int:
    return sum(thread.name == "heartbeat" for thread in threading.enumerate())


def test_heartbeat_renews_every_lease_in_one_thread(leases: list[Lease]) -> None:
    Job.objects.update(lease_until=timezone.now() + timedelta(seconds=3))
    heartbeat = Heartbeat(0.02)
    with heartbeat.maintain(leases[0]), heartbeat.maintain(leases[1]):
        later = timezone.now() + timedelta(seconds=10)
        until(lambda: Job.objects.filter(lease_until__gt=later).count() == 2)
        assert heartbeats() == 1
    assert heartbeats() == 0


def test_job_learns_of_its_cancellation(leases: list[Lease]) -> None:
    heartbeat = Heartbeat(0.02)
    with heartbeat.maintain(leases[0]), heartbeat.maintain(leases[1]):
        Job.objects.filter(pk=leases[0].job).update(cancel_requested=True)
        until(leases[0].is_interrupted)
        assert not leases[1].is_interrupted()


def test_job_with_a_lost_lease_stops(leases: list[Lease]) -> None:
    heartbeat = Heartbeat(0.02)
    with heartbeat.maintain(leases[0]):
        Job.objects.filter(pk=leases[0].job).update(lease=None)
        until(leases[0].is_interrupted)
    with pytest.raises(LeaseLost):
        leases[0].check()


def test_unresponsive_database_costs_no_lease(leases: list[Lease]) -> None:
    heartbeat, asked = Heartbeat(0.02), threading.Event()

    def locked(*_: object) -> dict[object, bool]:
        asked.set()
        raise OperationalError("database is locked")

    with patch("ingestion.jobs.heartbeat.renew", locked), heartbeat.maintain(leases[0]):
        assert asked.wait(20)
        assert not leases[0].is_interrupted()
    with heartbeat.maintain(leases[0]):
        Job.objects.filter(pk=leases[0].job).update(cancel_requested=True)
        until(leases[0].is_interrupted)
