"""What keeps a message until its work is done, and which messages are understood."""

from inspect import unwrap

import pytest

from cairn.celery import app
from cairn.settings import django as configured


def test_a_worker_that_dies_gives_its_message_back_and_hoards_none() -> None:
    assert app.conf.task_acks_late
    assert app.conf.worker_prefetch_multiplier == 1


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    assert {each["task"] for each in configured.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("ingestion.retain", "ingestion.apply_retention"),
        ("ingestion.gaps_try", "ingestion.retry_gaps"),
        ("gaps.tell", "ingestion.notify_askers"),
    ],
)
def test_a_beat_of_the_previous_release_is_still_understood(former: str, name: str) -> None:
    app.loader.import_default_modules()
    assert unwrap(app.tasks[former].run) is unwrap(app.tasks[name].run)
