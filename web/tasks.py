"""Celery's doors to what needs the whole web app."""

from uuid import UUID

from celery import shared_task

from cairn.limits import counting
from web.verifying.running import check_begin, check_due, check_run


@shared_task(name="web.verify_access")
def verify_access(check: str) -> None:
    check_run(UUID(check))


@shared_task(name="web.verify_access_due")
def verify_access_due() -> None:
    if check_due():
        check_begin(requested_by=None)


@shared_task(name="web.usage_tidy")
def usage_tidy() -> None:
    counting.usage_tidy()
