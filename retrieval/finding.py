"""Conversations by the words in them."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from retrieval.conversations import conversations_for
from retrieval.models import Citation, Conversation, Message, MessageState


def conversations_found(principal: Principal, query: str) -> "QuerySet[Conversation]":
    """Mine whose title, questions or answers hold the query; all of them for an empty one."""
    mine = conversations_for(principal)
    text = query.strip()
    if not text:
        return mine
    answered = Q(state=MessageState.DONE, answer__icontains=text)  # half ones may quote more than they cite
    said = Q(question__icontains=text) | (answered & ~_withheld(principal))
    messages = Message.objects.filter(said, conversation__in=mine)
    return mine.filter(Q(title__icontains=text) | Q(id__in=messages.values("conversation")))


def _withheld(principal: Principal) -> Q:
    """What is not shown must not be found either: a hit would tell of its words."""
    hidden = Citation.objects.filter(message=OuterRef("pk")).exclude(document__in=documents_for(principal))
    return Q(Exists(hidden))
