"""Conversations that a key limited to some knowledge bases may access."""

from django.db.models import Exists, OuterRef

from cairn.access.scope import Principal
from retrieval.models import Conversation, ConversationBase, ConversationQuerySet


def conversations_within_limits(principal: Principal) -> ConversationQuerySet:
    """Return the conversations that the principal's key may access at all, whoever they belong to.

    A key limited to some knowledge bases reaches a conversation only if every question in it, on any branch,
    was asked within these. What counts is where a question was asked, not what its answer cites: a refusal,
    or an erased answer, still reveals the question.
    """
    if principal.key_bases is None:
        return Conversation.objects.all()
    inside = ConversationBase.objects.filter(conversation=OuterRef("pk"))
    elsewhere = inside.exclude(knowledge_base__in=principal.key_bases)
    return Conversation.objects.filter(~Exists(elsewhere), confined=True)
