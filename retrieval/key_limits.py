"""Which conversations a key that is limited to some knowledge bases may touch."""

from django.db.models import Exists, OuterRef, QuerySet

from cairn.access.scope import Principal
from retrieval.models import Conversation, ConversationBase


def conversations_within_limits(principal: Principal) -> "QuerySet[Conversation]":
    """Of all conversations, those that the principal's key may touch at all, whoever they belong to.

    A key that is limited to some knowledge bases reaches a conversation only if every question in it, on any
    branch, was asked within these. Where a question was asked is what counts, not what its answer cites: a
    refusal, or an answer that was erased, still tells what somebody wanted to know.
    """
    if principal.key_bases is None:
        return Conversation.objects.all()
    inside = ConversationBase.objects.filter(conversation=OuterRef("pk"))
    elsewhere = inside.exclude(knowledge_base__in=principal.key_bases)
    return Conversation.objects.filter(~Exists(elsewhere), confined=True)
