"""Undo of a deletion: for a few minutes, a copy of a deleted conversation can be restored.

The rows themselves are deleted immediately, so that no list, search, share, export or statistic can contain
them. The copy is deleted with its owner, and with any document that it may quote.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core import serializers
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import SET_NULL, ForeignKey, Model
from django.db.models.deletion import Collector
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.audit.services import record
from cairn.errors import NotFound
from cairn.library.models import KnowledgeBase
from retrieval.conversations.redaction import prompted_documents
from retrieval.conversations.services import conversation_for
from retrieval.models import Citation, Conversation, DeletedConversation, Message

UNDO_PERIOD: Final = timedelta(minutes=5)
_RowsByModel = dict[type[Model], list[Model]]


class _Rows(Collector):
    """Loads the rows that a deletion removes."""

    def can_fast_delete(self, *_: Any, **__: Any) -> bool:
        return False


def conversation_delete_restorably(*, conversation: Conversation, actor: UUID | None) -> datetime:
    """Delete the conversation, and keep a copy for UNDO_PERIOD. Return when the copy will be deleted.

    Its files are hidden until then, and erased afterwards.
    """
    with transaction.atomic():
        row = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
        if row is None:
            raise NotFound
        until = timezone.now() + UNDO_PERIOD
        DeletedConversation.objects.create(
            id=row.id, user_id=row.user_id, rows=_serialize(row), documents=_find_documents(row), until=until
        )
        record("conversation.deleted", actor=actor, subject=f"conversation:{row.id}", restorable=True)
        KnowledgeBase.objects.present().filter(conversation=row.id).update(deleted_at=timezone.now())
        row.delete()
    return until


def _serialize(conversation: Conversation) -> str:
    collector = _Rows(using=DEFAULT_DB_ALIAS, origin=conversation)
    collector.collect([conversation])
    return str(serializers.serialize("json", [row for rows in collector.data.values() for row in rows]))


def _find_documents(conversation: Conversation) -> list[str]:
    """Return the ids of all documents that the conversation cites, names or had in a prompt."""
    cited = Citation.objects.filter(message__conversation=conversation).values_list("document", flat=True)
    found = set(map(str, cited))
    for message in conversation.messages.only("trace", "nearest"):
        found |= set(map(str, prompted_documents(message.trace)))
        found |= {str(item["document"]) for item in message.nearest}
    return sorted(found)


def conversation_restore(*, principal: Principal, conversation: object) -> Conversation:
    """Restore a deleted conversation of the principal. Raises NotFound after UNDO_PERIOD."""
    mine = DeletedConversation.objects.filter(user=principal.user, until__gt=timezone.now())
    with transaction.atomic():
        copy = get_or_not_found(mine.none() if principal.viewer else mine.select_for_update(), conversation)
        _insert(copy.rows)
        KnowledgeBase.objects.filter(conversation=copy.pk).update(deleted_at=None)
        restored = conversation_for(principal, copy.pk)  # a key may be limited to some knowledge bases
        copy.delete()
        record("conversation.restored", actor=principal.actor, subject=f"conversation:{restored.id}")
    return restored


def _insert(text: str) -> None:
    """Insert the rows, without those that refer to something that has been deleted since."""
    rows: _RowsByModel = defaultdict(list)
    for deserialized in serializers.deserialize("json", text):
        rows[type(deserialized.object)].append(deserialized.object)
    while orphans := _find_orphans(rows):
        if any(isinstance(row, Conversation | Message | Citation) for row in orphans):
            raise NotFound
        for row in orphans:
            rows[type(row)].remove(row)
    for model, objects in rows.items():
        model._default_manager.bulk_create(objects)


def _find_orphans(rows: _RowsByModel) -> list[Model]:
    """Return rows without one of the rows that they refer to. References that deletions empty are
    emptied."""
    orphans: list[Model] = []
    for model, objects in rows.items():
        for field in model._meta.concrete_fields:
            if isinstance(field, ForeignKey):
                orphans += _find_rows_without_target(field, objects, rows)
    return list(dict.fromkeys(orphans))


def _find_rows_without_target(
    field: "ForeignKey[Any, Any]", objects: Iterable[Model], rows: _RowsByModel
) -> list[Model]:
    referring = {row: getattr(row, field.attname) for row in objects if getattr(row, field.attname)}
    target = field.remote_field.model
    missing = set(referring.values()) - {row.pk for row in rows.get(target, ())}
    missing -= set(target._default_manager.filter(pk__in=missing).values_list("pk", flat=True))
    lost = [row for row, value in referring.items() if value in missing]
    if field.remote_field.on_delete is not SET_NULL:
        return lost
    for row in lost:
        setattr(row, field.attname, None)
    return []


def deleted_conversations_purge() -> int:
    """Delete copies whose time is over; return how many."""
    count, _ = DeletedConversation.objects.filter(until__lte=timezone.now()).delete()
    return count


def deleted_conversations_forget(document: UUID) -> int:
    """Delete copies of conversations that may quote the document; return how many."""
    copies = DeletedConversation.objects.only("documents")
    ids = [copy.pk for copy in copies if str(document) in copy.documents]
    count, _ = DeletedConversation.objects.filter(pk__in=ids).delete()
    return count
