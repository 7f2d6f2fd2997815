"""Celery task that adds new audit events to the hash chain."""

from celery import shared_task

from cairn.audit.hash_chain import seal_all


@shared_task(name="audit.seal")
def seal() -> None:
    seal_all()
