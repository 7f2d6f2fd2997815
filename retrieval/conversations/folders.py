"""Folders in which people sort their conversations. Nobody else sees them."""

from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext

from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.errors import Conflict, InvalidInput
from retrieval.models import Conversation, ConversationFolder

MAX_FOLDERS: Final = 100
MAX_NAME: Final = 60


def folders_for(principal: Principal) -> "QuerySet[ConversationFolder]":
    """Return the principal's folders, by name, with the number of their `listed` conversations.

    None for an admin who views as the user, and none for a key limited to some knowledge bases: the names may
    reveal what the other conversations are about.
    """
    if principal.viewer or principal.key_bases is not None:
        return ConversationFolder.objects.none()
    listed = Count("conversations", filter=Q(conversations__temporary=False) & ~Q(conversations__title=""))
    return ConversationFolder.objects.filter(user=principal.user).annotate(listed=listed).order_by("name")


def folder_for(principal: Principal, value: object) -> ConversationFolder:
    return get_or_not_found(folders_for(principal), value)


def folder_create(*, user: UUID, name: str) -> ConversationFolder:
    """Create a folder. Raises Conflict if the name is taken, or there are too many."""
    with transaction.atomic():
        if ConversationFolder.objects.filter(user=user).count() >= MAX_FOLDERS:
            raise Conflict(gettext("You can’t have more than 100 folders."))
        return _save(ConversationFolder(user_id=user, name=_clean(name)))


def folder_rename(*, folder: ConversationFolder, name: str) -> ConversationFolder:
    """Rename a folder. Raises Conflict if the name is taken."""
    folder.name = _clean(name)
    return _save(folder)


def _clean(name: str) -> str:
    cleaned = " ".join(name.split())[:MAX_NAME].rstrip()
    if not cleaned:
        raise InvalidInput(gettext("Enter a name."))
    return cleaned


def _save(folder: ConversationFolder) -> ConversationFolder:
    try:
        with transaction.atomic():
            folder.save()
    except IntegrityError as error:
        raise Conflict(gettext("You already have a folder with this name.")) from error
    return folder


def folder_delete(*, folder: ConversationFolder) -> None:
    """Delete a folder. Its conversations stay, without a folder."""
    ConversationFolder.objects.filter(pk=folder.pk).delete()


def conversation_move(*, conversation: Conversation, folder: ConversationFolder | None) -> Conversation:
    """Move a conversation into a folder, None for out of any."""
    conversation.folder = folder
    conversation.save(update_fields=["folder"])
    return conversation
