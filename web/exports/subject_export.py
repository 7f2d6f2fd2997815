"""Export of all data about a user, as a ZIP that is streamed while it is built."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from cairn.access.models import SourceSubject
from cairn.access.principals import principal_for_background_work
from cairn.access.scope import Principal
from cairn.accounts.models import PasswordLink, PasswordMail, User
from cairn.accounts.services import sessions_of
from cairn.audit.models import Event
from cairn.library.models import Document, DocumentVersion
from cairn.limits.models import Usage
from cairn.settings.stored.models import StoredSection
from ingestion.models import Import, PartialUpload, Receipt, Watch
from retrieval.assistants.models import Assistant, AssistantReader
from retrieval.conversations.files import conversation_documents
from retrieval.conversations.services import ShownMessage, load_all_branches
from retrieval.evaluation.models import EvaluationRun, GoldQuestion
from retrieval.gaps.models import Gap, GapQuestion, VerifiedAnswer
from retrieval.models import Conversation, ConversationFolder, Share
from web.exports import audit_log

BLOCK = 1 << 16
BATCH_SIZE = 20
Row = Mapping[str, object]


def subject_export(user: User) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in MEMBERS.items():
            with archive.open(f"{name}.jsonl", "w", force_zip64=True) as member:
                for row in rows(user):
                    member.write(f"{json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)}\n".encode())
                    if pipe.waiting >= BLOCK:
                        yield pipe.drain()
    yield pipe.drain()


class _Pipe(io.RawIOBase):
    """Buffer between ZIP writer and reader, of about one block."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self.waiting += len(part)
        return len(part)

    def drain(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        self.waiting = 0
        return content


def _profile(user: User) -> Iterator[Row]:
    yield {
        "id": user.id,
        "username": user.username,
        "display_name": user.display_name,
        "email": user.email,
        "is_admin": user.is_admin,
        "is_active": user.is_active,
        "language": user.language,
        "created_at": user.created_at,
        "last_login": user.last_login,
    }


def _groups(user: User) -> Iterator[Row]:
    yield from user.member_of.values("id", "name", "source")


def _identities(user: User) -> Iterator[Row]:
    yield from user.identities.values("source", "external_id")


def _source_people(user: User) -> Iterator[Row]:
    """Yield the people of sources that are linked to the account."""
    rows = SourceSubject.objects.filter(user=user).order_by("pk")
    yield from rows.values("source", "external_id", "name", "email", "directory", "directory_id", "link")


def _grants(user: User) -> Iterator[Row]:
    yield from user.grants.values("knowledge_base", "role")


def _keys(user: User) -> Iterator[Row]:
    """Return keys without their digests."""
    yield from user.api_keys.values(
        "id", "label", "prefix", "scopes", "knowledge_bases", "created_at", "expires_at", "last_used_at",
        "revoked_at",
    )  # fmt: skip


def _one_time_links(user: User) -> Iterator[Row]:
    """Return the one-time link without its token."""
    yield from PasswordLink.objects.filter(user=user).values("created_at", "expires_at")


def _link_mails(user: User) -> Iterator[Row]:
    yield from PasswordMail.objects.filter(user=user).values(
        "is_invitation", "language", "created_at", "sent_at", "error"
    )


def _requested_link_mails(user: User) -> Iterator[Row]:
    """Yield the messages that the user, an admin, had sent to others: to whom by id, and when."""
    rows = PasswordMail.objects.filter(requested_by=user).exclude(user=user).order_by("created_at", "pk")
    yield from rows.values("user", "created_at", "sent_at")


def _assistant_access(user: User) -> Iterator[Row]:
    """Yield the assistants that the user may use by name."""
    yield from AssistantReader.objects.filter(user=user).order_by("pk").values("assistant")


def _second_factors(user: User) -> Iterator[Row]:
    """Return second factors without their secrets."""
    yield from Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")


def _sessions(user: User) -> Iterator[Row]:
    """Return sessions without their keys."""
    for session in sessions_of(user):
        yield {"expires_at": session.expire_date}


def _conversations(user: User) -> Iterator[Row]:
    """Yield conversations as the user may see them now, without answers that quote unreadable content."""
    principal = principal_for_background_work(user)
    ids = list(
        Conversation.objects.filter(user=user).order_by("created_at", "id").values_list("id", flat=True)
    )
    for some in _parts(ids, BATCH_SIZE):
        for conversation in Conversation.objects.filter(pk__in=some).order_by("created_at", "id"):
            yield _conversation(conversation, principal)


def _conversation(conversation: Conversation, principal: Principal) -> Row:
    return {
        "id": conversation.id,
        "title": conversation.title,
        "assistant": conversation.assistant_name,
        "temporary": conversation.temporary,
        "folder": conversation.folder_id,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "files": list(
            conversation_documents(conversation, principal).values_list("latest_version__filename", flat=True)
        ),
        "messages": [_message(shown) for shown in load_all_branches(conversation, principal)],
    }


def _message(shown: ShownMessage) -> Row:
    message = shown.message
    return {
        "id": message.id,
        "parent": message.parent_id,
        "created_at": message.created_at,
        "question": message.question,
        "answer": shown.answer,
        "verdict": message.verdict,
        "citations": [
            {"marker": each.marker, "document": each.document_id, "title": each.title, "quote": each.quote}
            for each in shown.citations
        ],
        "feedback": {
            "rating": message.rating,
            "reason": message.rating_reason,
            "comment": message.rating_comment,
        },
    }


def _folders(user: User) -> Iterator[Row]:
    yield from ConversationFolder.objects.filter(user=user).values("id", "name", "created_at")


def _gap_questions(user: User) -> Iterator[Row]:
    """Yield the user's questions that are reported to editors."""
    rows = GapQuestion.objects.filter(message__conversation__user=user).order_by("created_at", "id")
    yield from rows.values("message", "why", "taken_back", "with_name", "created_at")


def _notices(user: User) -> Iterator[Row]:
    rows = user.notices.order_by("created_at", "id")
    yield from rows.values("kind", "gap", "message", "created_at", "read_at")


def _shares(user: User) -> Iterator[Row]:
    for share in Share.objects.filter(conversation__user=user).prefetch_related("readers"):
        yield {
            "id": share.id,
            "conversation": share.conversation_id,
            "message": share.last_id if share.single else None,
            "to": share.subjects,
            "created_at": share.created_at,
            "renewed_at": share.renewed_at,
        }


def _assistants(user: User) -> Iterator[Row]:
    """Yield the assistants that the user created."""
    rows = Assistant.objects.filter(created_by=user).order_by("created_at", "id")
    yield from rows.values("id", "name", "description", "instructions", "starter_questions", "created_at")


def _uploads(user: User) -> Iterator[Row]:
    yield from _values(
        DocumentVersion.objects.filter(created_by=user),
        "document", "document__knowledge_base", "number", "filename", "media_type", "size", "sha256",
        "created_at",
    )  # fmt: skip


def _other_objects(user: User) -> Iterator[Row]:
    """Yield other objects of the user, by id."""
    owned: dict[str, QuerySet[Any]] = {
        "import": Import.objects.filter(user=user),
        "partial_upload": PartialUpload.objects.filter(user=user),
        "watch": Watch.objects.filter(user=user),
        "evaluation": EvaluationRun.objects.filter(created_by=user),
        "gold_question": GoldQuestion.objects.filter(created_by=user),
        "receipt": Receipt.objects.filter(requested_by=user),
        "owned_document": Document.objects.filter(owner=user),
        "owned_gap": Gap.objects.filter(owner=user),
        "verified_answer": VerifiedAnswer.objects.filter(owner=user),
    }
    for kind, rows in owned.items():
        for row in _values(rows, "id", "created_at"):
            yield {"kind": kind, **row}
    for section in StoredSection.objects.filter(changed_by=user):
        yield {"kind": "settings", "id": section.section, "created_at": section.changed_at}


def _values(rows: "QuerySet[Any]", *fields: str) -> Iterator[Row]:
    ids: list[UUID] = list(rows.order_by("created_at", "id").values_list("id", flat=True))
    for some in _parts(ids, BATCH_SIZE * 50):
        yield from rows.filter(pk__in=some).order_by("created_at", "id").values(*fields)


def _parts(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _usage(user: User) -> Iterator[Row]:
    rows = Usage.objects.filter(owner=user.id).order_by("day")
    yield from rows.values("day", "questions", "searches", "tokens", "uploads", "bytes")


def _audit(user: User) -> Iterator[Row]:
    for events in audit_log.batches(Event.objects.matching(actor=user.id)):
        yield from map(audit_log.fields, events)


MEMBERS: Final[dict[str, Callable[[User], Iterator[Row]]]] = {
    "profile": _profile,
    "groups": _groups,
    "identities": _identities,
    "source_people": _source_people,
    "grants": _grants,
    "keys": _keys,
    "one_time_links": _one_time_links,
    "link_mails": _link_mails,
    "requested_link_mails": _requested_link_mails,
    "second_factors": _second_factors,
    "sessions": _sessions,
    "conversations": _conversations,
    "conversation_folders": _folders,
    "gap_questions": _gap_questions,
    "notices": _notices,
    "shares": _shares,
    "assistants": _assistants,
    "assistant_access": _assistant_access,
    "uploads": _uploads,
    "made": _other_objects,
    "usage": _usage,
    "audit": _audit,
}
"""The files of the archive, and what is in each."""
