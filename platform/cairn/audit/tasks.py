"""Celery's door to sealing."""

from celery import shared_task

from cairn.audit.hash_chain import seal_all


@shared_task(name="audit.seal")
def seal() -> None:
    seal_all()
