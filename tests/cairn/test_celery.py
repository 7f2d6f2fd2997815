"""Celery settings that preserve messages until their work is done, and former task names."""

from inspect import unwrap

import pytest

from cairn.celery import app
from cairn.settings import django as configured


def test_killed_worker_returns_its_message_and_prefetches_only_one() -> None:
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
def test_former_task_names_still_run(former: str, name: str) -> None:
    app.loader.import_default_modules()
    assert unwrap(app.tasks[former].run) is unwrap(app.tasks[name].run)
