"""Write audit events: `record` is the only way to add one."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from cairn.audit.models import Event

REPEAT_INTERVAL = timedelta(minutes=10)


def record(action: str, *, actor: UUID | None, subject: str = "", **detail: Any) -> None:
    """Record an event in the caller's transaction, so that it is recorded only if the change takes effect."""
    Event.objects.create(action=action, actor=actor, subject=subject, detail=detail)


def record_unless_recent(action: str, *, actor: UUID, subject: str) -> None:
    """Record a repeated action, such as turning pages, once per REPEAT_INTERVAL."""
    recent = Event.objects.filter(
        action=action, actor=actor, subject=subject, at__gt=timezone.now() - REPEAT_INTERVAL
    )
    if not recent.exists():
        record(action, actor=actor, subject=subject)
