"""Write audit events: `record` is the only way to add one."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from cairn.audit.models import CHECK_MARK, Event

REPEAT_INTERVAL = timedelta(minutes=10)
_access_check: ContextVar[UUID | None] = ContextVar("access_check", default=None)


def mark_events_like(action: str, subject: str) -> AbstractContextManager[None]:
    """Mark all events recorded in this context like an earlier one: a worker completes what a check began."""
    marked = Event.objects.filter(action=action, subject=subject, detail__has_key=CHECK_MARK).first()
    return mark_events_of_check(UUID(marked.detail[CHECK_MARK])) if marked else nullcontext()


@contextmanager
def mark_events_of_check(check: UUID) -> Iterator[None]:
    """Mark all events recorded in this context as caused by an access check."""
    token = _access_check.set(check)
    try:
        yield
    finally:
        _access_check.reset(token)


def record(action: str, *, actor: UUID | None, subject: str = "", **detail: Any) -> None:
    """Record an event in the caller's transaction, so that it is recorded only if the change takes effect."""
    if check := _access_check.get():
        detail[CHECK_MARK] = str(check)
    Event.objects.create(action=action, actor=actor, subject=subject, detail=detail)


def record_unless_recent(action: str, *, actor: UUID, subject: str) -> None:
    """Record a repeated action, such as turning pages, once per REPEAT_INTERVAL."""
    recent = Event.objects.filter(
        action=action, actor=actor, subject=subject, at__gt=timezone.now() - REPEAT_INTERVAL
    )
    if not recent.exists():
        record(action, actor=actor, subject=subject)
