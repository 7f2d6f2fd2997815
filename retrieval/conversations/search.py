"""Conversations by the words in them."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from retrieval.answering.generation.sentence_gate import UNSUPPORTED_SUFFIX
from retrieval.conversations.services import conversations_for, messages_open
from retrieval.models import Citation, Conversation, Message, MessageState


def find_conversations(principal: Principal, query: str) -> "QuerySet[Conversation]":
    """Return the user's conversations whose title, questions or answers contain the query, all for "".

    Temporary conversations are not found.
    """
    mine = conversations_for(principal).listed()
    text = query.strip()
    if not text:
        return mine
    found = find_matching_messages(principal, text).values("conversation")
    return mine.filter(Q(title__icontains=text) | Q(id__in=found))


def find_matching_messages(principal: Principal, text: str) -> "QuerySet[Message]":
    """Return the principal's messages whose question or answer contains the text."""
    messages = Message.objects.filter(conversation__in=conversations_for(principal).listed())
    answered = messages.filter(state=MessageState.DONE, answer__icontains=text)  # half ones may quote more
    matches = Q(question__icontains=text) | Q(id__in=_exclude_withheld(answered, principal).values("id"))
    return messages.filter(matches)


def _exclude_withheld(answered: "QuerySet[Message]", principal: Principal) -> "QuerySet[Message]":
    """Return the messages that are not withheld: a hit would reveal their words."""
    readable = documents_for(principal, attached=True)
    hidden = Citation.objects.filter(message=OuterRef("pk")).exclude(document__in=readable)
    flagged = answered.filter(answer__contains=UNSUPPORTED_SUFFIX).prefetch_related("citations")
    loose = [message.pk for message in messages_open(flagged, principal)]
    traced = ~Q(answer__contains=UNSUPPORTED_SUFFIX) & ~Q(Exists(hidden))
    return answered.filter(traced | Q(id__in=loose))
