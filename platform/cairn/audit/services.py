from typing import Any
from uuid import UUID

from cairn.audit.models import Event


def record(action: str, *, actor: UUID | None, subject: str = "", **detail: Any) -> None:
    """Joins the caller's transaction, so that what did not happen is not recorded."""
    Event.objects.create(action=action, actor=actor, subject=subject, detail=detail)
