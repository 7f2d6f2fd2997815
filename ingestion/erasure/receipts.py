"""Completion of erasure receipts, once no file of the index and the database contains the erased data."""

from collections import Counter
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from cairn.audit.services import mark_events_like, record
from ingestion import broker
from ingestion.erasure.sqlite_wal import scrub
from ingestion.models import Receipt, ReceiptState
from retrieval.models import GenerationState, IndexGeneration

REMOVED: Final = ("rows", "chunks", "points", "files", "quotes")


def add_removed_counts(receipt: Receipt, removed: Counter[str]) -> None:
    total = Counter(receipt.removed) + removed
    receipt.removed = {name: total[name] for name in REMOVED}
    receipt.save(update_fields=["removed"])


def rewrite_request(receipt: Receipt) -> None:
    """Request a rewrite of every index generation, after all data was removed."""
    with transaction.atomic():
        rows = IndexGeneration.objects.filter(dimension__gt=0).exclude(state=GenerationState.REMOVING)
        rows.update(remains=F("remains") + 1)
        receipt.waits_for = {str(pk): remains for pk, remains in rows.values_list("pk", "remains")}
        receipt.save(update_fields=["waits_for"])


def receipts_close(only: UUID | None = None) -> None:
    """Close receipts that no longer wait for anything, and request rewrites for the rest."""
    waiting = Receipt.objects.filter(state=ReceiptState.PENDING, waits_for__isnull=False)
    rows = list(waiting if only is None else waiting.filter(pk=only))
    ready = [receipt for receipt in rows if not generations_behind(receipt)]
    if ready and scrub():
        for receipt in ready:
            _close(receipt)
    if len(ready) < len(rows):
        broker.enqueue_reindex()


def generations_behind(receipt: Receipt) -> list[IndexGeneration]:
    """Return generations that may still contain erased data. Removed generations contain none."""
    waits_for: dict[str, int] = receipt.waits_for or {}
    rows: Iterable[IndexGeneration] = IndexGeneration.objects.filter(pk__in=list(waits_for))
    return [row for row in rows if row.rewritten < waits_for[str(row.pk)]]


def waiting_for(receipt: Receipt) -> str:
    """Describe what a pending receipt waits for, in one sentence; empty if done."""
    if receipt.state == ReceiptState.DONE:
        return ""
    if receipt.waits_for is None:
        return gettext("A worker is deleting the data.")
    behind = generations_behind(receipt)
    if error := next((row.rewrite_error for row in behind if row.rewrite_error), ""):
        return gettext("The search index couldn’t be rewritten yet: %(reason)s") % {"reason": error}
    if behind:
        return gettext("The search index is being rewritten.")
    return gettext("The database log is being cleared.")


def _close(receipt: Receipt) -> None:
    removed = {name: receipt.removed.get(name, 0) for name in REMOVED}
    with transaction.atomic(), mark_events_like("erasure.requested", receipt.object):
        changed = Receipt.objects.filter(pk=receipt.pk, state=ReceiptState.PENDING).update(
            state=ReceiptState.DONE, verified_at=timezone.now(), removed=removed
        )
        if changed:
            record("erasure.done", actor=None, subject=receipt.object, removed=removed)
