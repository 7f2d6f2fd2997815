"""Messages to a chat model that know which documents their passages come from.

A model outside the organisation takes no other messages than those that were cleared for it. Whoever copies
messages into a plain list loses the clearance, so forgetting it sends nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from llama_index.core.llms import ChatMessage

from cairn.errors import Unavailable
from cairn.messages import gettext_noop

NOT_CLEARED = gettext_noop("The language model outside the organisation may not read these passages.")


class PromptMessages(list[ChatMessage]):
    """`documents`: those whose passages are in the messages."""

    def __init__(self, messages: Iterable[ChatMessage], *, documents: Collection[UUID] = ()) -> None:
        super().__init__(messages)
        self.documents = frozenset(documents)


class ClearedMessages(PromptMessages):
    """Messages that an outside model may receive. Only `retrieval.conversations.model_routing` makes them,
    and tests of connections, whose messages have no passages."""


def require_cleared(messages: Sequence[ChatMessage]) -> None:
    """Raise Unavailable if an outside model may not receive these messages."""
    if not isinstance(messages, ClearedMessages):
        raise Unavailable(NOT_CLEARED)
