"""The assistant of a conversation: chosen with the first question, and kept."""

from typing import NoReturn

from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.errors import Conflict, InvalidInput, NotFound
from cairn.messages import CodedMessage
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import assistant_for
from retrieval.models import Conversation

OTHER_ASSISTANT = gettext_noop(
    "A conversation keeps the assistant that it started with. Start a new one to ask another."
)


def assistant_of(conversation: Conversation, principal: Principal) -> Assistant | None:
    """Return the assistant of the conversation, None if it started without one.

    Raises Conflict if it was deleted or the principal may no longer use it: answering without it would
    search in more than the conversation is about.
    """
    if not conversation.assistant_name:
        return None
    try:
        return assistant_for(principal, conversation.assistant_id)
    except NotFound:
        _refuse(conversation.assistant_name)


def lock_assistant(assistant: Assistant) -> None:
    """Prevent a deletion until the transaction ends. Raises Conflict if the assistant was deleted."""
    rows = Assistant.objects.select_for_update(no_key=True).filter(pk=assistant.pk)
    if rows.values_list("pk", flat=True).first() is None:
        _refuse(assistant.name)


def _refuse(name: str) -> NoReturn:
    raise Conflict(CodedMessage("assistant_gone", name=name), code="assistant_gone") from None


def choose_assistant(
    principal: Principal, conversation: Conversation | None, requested: object | None
) -> Assistant | None:
    """Return the assistant that answers a question. Raises NotFound, or InvalidInput for another one than
    that of the conversation."""
    if conversation is None or not (conversation.assistant_name or conversation.messages.exists()):
        return None if requested is None else assistant_for(principal, requested)
    current = assistant_of(conversation, principal)
    if requested is not None and (current is None or assistant_for(principal, requested) != current):
        raise InvalidInput(OTHER_ASSISTANT)
    return current


def usable_assistant(conversation: Conversation, principal: Principal) -> Assistant | None:
    """Return the assistant of the conversation, None if there is none that the principal may use."""
    try:
        return assistant_of(conversation, principal)
    except Conflict:
        return None
