"""Chooses the language model of each prompt by the rules of the passages in it.

An outside model gets a prompt only if no passage of it, and no passage behind an earlier answer of the
conversation, comes from a knowledge base or document that forbids it. Else the active inside model gets it,
or no model at all. The rules are read twice: when a model is chosen, and again when the messages are sent.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from llama_index.core.llms import ChatMessage

from cairn.access.scope import Scope
from cairn.errors import Unavailable
from cairn.inference.chat.prompt_messages import NOT_CLEARED, ClearedMessages, PromptMessages
from cairn.library.outside_models import (
    find_forbidden_outside,
    is_anything_forbidden_outside,
    is_anything_forbidden_outside_in,
)
from cairn.settings.stored.store import effective_environment, inside_environment
from retrieval.answering.protocols import ChatModel, WrappedChat
from retrieval.conversations.branches import Tree
from retrieval.engine import ConfiguredChat
from retrieval.models import Message

INSIDE: Final = "inside"
OUTSIDE: Final = "outside"


@dataclass(frozen=True, slots=True)
class EarlierAnswers:
    """Documents behind the earlier answers of a conversation. `are_known`: not if a program sent them."""

    documents: frozenset[UUID] = frozenset()
    are_known: bool = True


@dataclass(frozen=True, slots=True)
class _Outside(WrappedChat):
    """The outside model, for prompts of which every passage may be read by it."""

    chat: ConfiguredChat
    earlier: EarlierAnswers
    location: ClassVar[str] = OUTSIDE
    reason: ClassVar[str] = "allowed"

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        return self.chat.stream(clear_messages(messages, self.earlier), max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class _Fallback(WrappedChat):
    """The active inside model, in place of an outside one that may not read the passages."""

    chat: ConfiguredChat
    location: ClassVar[str] = INSIDE
    reason: ClassVar[str] = "outside_forbidden"
    is_fallback: ClassVar[bool] = True

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        return self.chat.stream(messages, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class RoutedChat(WrappedChat):
    """The language model of one question. Name and context are those of the model that answers if no rule
    forbids it; ask `for_documents` for the model of a prompt. `searched`: the question's knowledge bases."""

    chat: ConfiguredChat
    earlier: EarlierAnswers
    searched: frozenset[UUID]

    def for_documents(self, documents: Collection[UUID]) -> ChatModel | None:
        """Return the model for a prompt with passages of these documents; None if no model may have it."""
        if effective_environment().llm_location == INSIDE:
            return self.chat
        if may_leave(documents, self.earlier):
            return _Outside(self.chat, self.earlier)
        return self._fall_back()

    def before_search(self) -> ChatModel | None:
        """Return the model for the question alone, before it is known which passages it will find; None if no
        model may have it. An outside model gets it only if nothing that is searched forbids it."""
        if effective_environment().llm_location == INSIDE:
            return self.chat
        if is_anything_forbidden_outside_in(self.searched):
            return self._fall_back()
        return self.for_documents(())

    def _fall_back(self) -> ChatModel | None:
        if inside_environment() is None:
            return None
        return _Fallback(ConfiguredChat(self.chat.background, inside=True))

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        """Ask the model that may read these messages. Raises Unavailable if there is none."""
        documents = messages.documents if isinstance(messages, PromptMessages) else None
        chosen = self.for_documents(documents) if documents is not None else None
        if chosen is None:
            raise Unavailable(NOT_CLEARED)
        return chosen.stream(messages, max_tokens=max_tokens)


def route_chat(chat: ChatModel, message: Message, scope: Scope, *, sent_by_program: bool) -> ChatModel:
    """Return the model of one question, which follows the rules of what it reads and of what the scope
    searches. `sent_by_program`: the turns before the question aren't Cairn's own."""
    if not isinstance(chat, ConfiguredChat):
        return chat
    earlier = _find_earlier_answers(message, sent_by_program=sent_by_program)
    return RoutedChat(chat, earlier, scope.readable)


def may_leave(documents: Collection[UUID], earlier: EarlierAnswers) -> bool:
    """Return whether an outside model may read passages of these documents in this conversation."""
    if not earlier.are_known and is_anything_forbidden_outside():
        return False
    return not find_forbidden_outside(frozenset(documents) | earlier.documents)


def clear_messages(messages: Sequence[ChatMessage], earlier: EarlierAnswers) -> ClearedMessages:
    """Return the messages as an outside model takes them. Raises Unavailable if it may not have them, or if
    they don't say which documents their passages come from."""
    if not isinstance(messages, PromptMessages) or not may_leave(messages.documents, earlier):
        raise Unavailable(NOT_CLEARED)
    return ClearedMessages(messages, documents=messages.documents)


def _find_earlier_answers(message: Message, *, sent_by_program: bool) -> EarlierAnswers:
    """Return what the answers before this question were written from."""
    if message.parent_id is None:
        return EarlierAnswers(are_known=not sent_by_program)
    path = Tree(message.conversation).path_to(message.parent_id)
    rows = Message.objects.filter(pk__in=path)
    hits = [hit for trace in rows.values_list("trace", flat=True) for hit in trace.get("hits", ())]
    cited = rows.values_list("citations__document", flat=True)
    documents = {UUID(str(hit["document"])) for hit in hits} | set(filter(None, cited))
    return EarlierAnswers(frozenset(documents), not sent_by_program)
