"""Repeat erasures made after a backup, from a list of erasures."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cairn.accounts.models import User
from cairn.errors import InvalidInput
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.services import document_delete, knowledge_base_delete
from ingestion.erasure.documents import erase
from ingestion.erasure.users import user_erase
from ingestion.models import Receipt, ReceiptState
from ingestion.reindexing import runner
from retrieval.index.generations import active_index

_DONE: Final = "erasure.done"


@dataclass(frozen=True, slots=True)
class Erasure:
    kind: str
    identity: UUID


def erasures_in(lines: Iterable[str]) -> list[Erasure]:
    """Parse lines of `audit export --action erasure.done`, or receipts in REST format."""
    return [_erasure(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _erasure(number: int, line: str) -> Erasure:
    try:
        data = json.loads(line)
        kind, _, identity = str(data.get("subject") or data["object"]).partition(":")
        if kind not in _AGAIN or data.get("action", _DONE) != _DONE:
            raise ValueError(kind)
        return Erasure(kind, UUID(identity))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"Line {number} tells of no erasure.") from error


def erase_again(erasures: Sequence[Erasure]) -> int:
    """Repeat erasures, and finish those pending at the time of the backup. Returns how many were in it."""
    done = sum(_AGAIN[erasure.kind](erasure.identity) for erasure in erasures)
    pending = Receipt.objects.filter(state=ReceiptState.PENDING)
    for receipt in pending.values_list("id", flat=True):
        erase(receipt, active_index())
    runner.work_all()
    return done


def _document(identity: UUID) -> bool:
    document = Document.objects.filter(pk=identity, deleted_at=None).first()
    if document is not None:
        document_delete(document=document, principal=None)
    return document is not None


def _knowledge_base(identity: UUID) -> bool:
    base = KnowledgeBase.objects.present().filter(pk=identity).first()
    if base is not None:
        knowledge_base_delete(knowledge_base=base, principal=None)
    return base is not None


def _user(identity: UUID) -> bool:
    user = User.objects.filter(pk=identity).first()
    if user is not None:
        user_erase(user=user, actor=None)
    return user is not None


_AGAIN: Final[dict[str, Callable[[UUID], bool]]] = {
    "document": _document,
    "knowledge-base": _knowledge_base,
    "user": _user,
}
