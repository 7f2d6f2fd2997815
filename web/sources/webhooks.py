"""Webhooks of sources: a system sends one when something changes, and Cairn syncs that source.

A webhook only says that something changed. What changed is read from the source itself, so that neither its
payload nor an old one that is sent again can bring in anything.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.audit.services import record
from cairn.errors import InvalidInput
from cairn.settings.stored.encryption import decrypt, encrypt
from ingestion import broker
from ingestion.models import Source, SourceSchedule, SourceTask
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.webhooks import GITHUB_WEBHOOK
from ingestion.sources.lease import LONGEST_DELAY
from ingestion.sources.protocol import Webhook

PURPOSE: Final = "source_webhook"
SECRET_BYTES: Final = 32
WEBHOOK_PAUSE: Final = LONGEST_DELAY
"""Least time between the starts of two syncs for webhooks."""
_TASKS: Final = (SourceTask.CONTENT, SourceTask.PEOPLE, SourceTask.ACCESS)
_DECOY: Final = secrets.token_urlsafe(SECRET_BYTES)
"""Compared with webhooks to no source, so that they take as long."""


def has_webhook(source: Source) -> bool:
    """Return whether sources of this kind can receive webhooks."""
    return _webhook_of(source) is not None


def webhook_create(*, source: Source, principal: Principal) -> str:
    """Let a source receive webhooks, and return the secret, which replaces an earlier one."""
    if not has_webhook(source):
        raise InvalidInput(gettext_noop("This kind of source doesn’t receive webhooks."))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    with transaction.atomic():
        Source.objects.filter(pk=source.pk, deleted_at=None).update(
            webhook_secret=encrypt(secret, purpose=PURPOSE),
            webhook_created_at=Now(),
            webhook_received_at=None,
        )
        record("source.webhook_created", actor=principal.actor, subject=f"source:{source.id}")
    source.refresh_from_db()
    return secret


def webhook_remove(*, source: Source, principal: Principal) -> None:
    """Forget the secret: webhooks for the source count as unknown from then on."""
    with transaction.atomic():
        rows = Source.objects.filter(pk=source.pk).exclude(webhook_secret="")
        if rows.update(webhook_secret="", webhook_created_at=None, webhook_received_at=None):
            record("source.webhook_removed", actor=principal.actor, subject=f"source:{source.id}")


def webhook_receive(*, source_id: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Request a sync if this is a valid webhook of an enabled source. Returns whether it is one."""
    source = _find_source(source_id)
    webhook = (source and _webhook_of(source)) or GITHUB_WEBHOOK
    secret = decrypt(source.webhook_secret, purpose=PURPOSE) if source else None
    is_authentic = webhook.is_authentic(headers, body, secret or _DECOY)
    if source is None or not secret or not is_authentic:
        return False
    changes_access = headers.get(webhook.event_header, "") in webhook.access_events
    _request_tasks(source, _TASKS if changes_access else _TASKS[:1])
    return True


def _find_source(source_id: str) -> Source | None:
    try:
        identity = UUID(source_id)
    except ValueError:
        return None
    return Source.objects.present().filter(pk=identity, enabled=True).exclude(webhook_secret="").first()


def _webhook_of(source: Source) -> Webhook | None:
    try:
        return get_kind(source.kind).webhook
    except InvalidInput:
        return None


def _request_tasks(source: Source, tasks: tuple[SourceTask, ...]) -> None:
    """Request each task that isn't requested yet, also while it runs: it may have passed what changed.

    Tasks that failed wait as they would otherwise, since repeated attempts can lock accounts.
    """
    with transaction.atomic():
        Source.objects.filter(pk=source.pk).update(webhook_received_at=Now())
        rows = SourceSchedule.objects.select_for_update(of=("self",)).annotate(now=Now())
        for row in rows.filter(source=source, task__in=tasks, requested_at=None, failures=0):
            SourceSchedule.objects.filter(pk=row.pk).update(requested_at=_next_start(row))
            record("source.requested", actor=None, subject=f"source:{source.id}", task=row.task, by="webhook")
        transaction.on_commit(broker.wake_sources, robust=True)


def _next_start(row: SourceSchedule) -> datetime:
    """Return when the task may start: now, or a while after its last start."""
    now: datetime = row.now  # type: ignore[attr-defined]
    if row.started_at is None or row.started_at > now:
        return now
    return max(now, row.started_at + WEBHOOK_PAUSE)
