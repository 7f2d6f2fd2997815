from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from cairn.audit.models import Event

SITTING = timedelta(minutes=10)


def record(action: str, *, actor: UUID | None, subject: str = "", **detail: Any) -> None:
    """Joins the caller's transaction, so that what did not happen is not recorded."""
    Event.objects.create(action=action, actor=actor, subject=subject, detail=detail)


def record_sitting(action: str, *, actor: UUID, subject: str) -> None:
    """Record a repeated action, such as turning pages, once in ten minutes."""
    recent = Event.objects.filter(
        action=action, actor=actor, subject=subject, at__gt=timezone.now() - SITTING
    )
    if not recent.exists():
        record(action, actor=actor, subject=subject)
