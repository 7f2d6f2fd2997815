"""Celery tasks that call the services."""

from celery import shared_task

from retrieval.gaps.clusters import questions_group
from retrieval.gaps.notices import notify_askers
from retrieval.gaps.recorder import gaps_tidy


@shared_task(name="gaps.group")
def group() -> None:
    questions_group()


@shared_task(name="gaps.tell")
def notify() -> None:
    gaps_tidy()
    notify_askers()
