"""Celery tasks that call the services."""

from celery import shared_task

from retrieval.gaps.clusters import questions_group


@shared_task(name="gaps.group")
def group() -> None:
    questions_group()
