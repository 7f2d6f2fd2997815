"""Files attached to conversations: attach and remove them, and erase them with their conversation."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from cairn.access.principals import (
    principal_for_background_work,
    require_not_viewing,
    require_unlimited,
)
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User
from cairn.errors import Conflict, NotFound
from cairn.library.models import Document, KnowledgeBase
from cairn.messages import CodedMessage
from ingestion.documents.services import document_delete, knowledge_base_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Submission, Upload
from ingestion.models import Receipt
from retrieval.conversations.files import conversation_documents
from retrieval.models import Conversation, ConversationBase, DeletedConversation

MAX_FILES: Final = 10
"""Files that a conversation can have; what lies in them does not count."""


def require_may_attach(principal: Principal) -> None:
    """Raise Forbidden for an admin who views as the user, and for keys limited to some knowledge bases."""
    require_not_viewing(principal)
    require_unlimited(principal)


def file_attach(upload: Upload, *, conversation: Conversation, principal: Principal) -> Submission:
    """Attach a file to the principal's conversation. A file of the same name gets a new version.

    Raises Conflict with the code `too_many_files` above MAX_FILES, and NotFound if the conversation was
    deleted.
    """
    require_may_attach(principal)
    base = open_base(conversation, principal)
    return document_submit(replace(upload, check=_require_room), knowledge_base=base, principal=principal)


def open_base(conversation: Conversation, principal: Principal) -> KnowledgeBase:
    """Return the knowledge base of the conversation's files, made with the first file."""
    found = KnowledgeBase.objects.present().filter(conversation=conversation.pk).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            if not Conversation.objects.select_for_update().filter(pk=conversation.pk).exists():
                raise NotFound
            base = KnowledgeBase.objects.create(
                name=gettext("Attached files"),
                slug=f"conversation-{conversation.pk}",
                conversation=conversation.pk,
                owner_id=principal.user,
            )
            # Keys limited to some knowledge bases no longer reach the conversation.
            ConversationBase.objects.create(conversation=conversation, knowledge_base=base.pk)
            return base
    except IntegrityError:  # another request was quicker
        return get_or_not_found(KnowledgeBase.objects.present(), _base_id(conversation))


def _base_id(conversation: Conversation) -> object:
    return KnowledgeBase.objects.filter(conversation=conversation.pk).values_list("pk", flat=True).first()


def _require_room(base: KnowledgeBase, document: Document | None) -> None:
    """Raise Conflict if a new file would be one too many. Call it while the knowledge base is locked."""
    if document is not None:
        return
    if Document.objects.present().filter(knowledge_base=base, parent=None).count() >= MAX_FILES:
        raise Conflict(CodedMessage("too_many_files", limit=MAX_FILES), code="too_many_files")


def file_remove(*, conversation: Conversation, document: object, principal: Principal) -> Receipt:
    """Remove a file from the principal's conversation; a worker erases it."""
    require_not_viewing(principal)
    found = get_or_not_found(conversation_documents(conversation, principal), document)
    return document_delete(document=found, principal=principal)


def conversation_files_delete(*, conversation: UUID, principal: Principal) -> Receipt | None:
    """Delete all files of a conversation, which is being deleted; a worker erases them."""
    base = KnowledgeBase.objects.present().filter(conversation=conversation).first()
    return None if base is None else knowledge_base_delete(knowledge_base=base, principal=principal)


def user_files_delete(user: User) -> None:
    """Delete the files of all conversations of a user, who is being deleted."""
    for base in KnowledgeBase.objects.filter(owner=user, conversation__isnull=False):
        if not _is_being_erased(base):
            _delete_even_hidden(base)


def orphaned_files_delete() -> int:
    """Delete the files of conversations that are gone and can't be restored; return how many conversations.

    This covers every way in which a conversation ends.
    """
    bases = (
        KnowledgeBase.objects.filter(conversation__isnull=False)
        .exclude(conversation__in=Conversation.objects.values("pk"))
        .exclude(conversation__in=DeletedConversation.objects.values("pk"))
    )
    orphans = [base for base in bases if not _is_being_erased(base)]
    for base in orphans:
        _delete_even_hidden(base)
    return len(orphans)


def _is_being_erased(base: KnowledgeBase) -> bool:
    return Receipt.objects.filter(object=f"knowledge-base:{base.pk}").exists()


def _delete_even_hidden(base: KnowledgeBase) -> None:
    """Delete the knowledge base, also if it was hidden while its conversation could be restored."""
    by = principal_for_background_work(base.owner) if base.owner else None
    with transaction.atomic():
        KnowledgeBase.objects.filter(pk=base.pk).update(deleted_at=None)
        knowledge_base_delete(knowledge_base=base, principal=by)
