"""The language model of a person whom the candidate of an A/B test answers."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from llama_index.core.llms import ChatMessage

from cairn.inference.registry import candidate_chat_model, lazy
from cairn.settings import Environment
from cairn.settings.stored.models import ModelLocation
from retrieval.answering.protocols import ChatModel, WrappedChat, choose_model, choose_rewriter

REASON: Final = "ab_test"
"""Why the candidate answers, as it is in the route of an answer."""
MAX_WAIT_SECONDS: Final = 30.0
"""How long people wait for the candidate, in its queue and for its first token, before the active model
answers."""


@dataclass(slots=True)
class Attempt:
    """Whether the candidate was unavailable for an answer."""

    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate(WrappedChat):
    """The candidate, which is inside the organisation and so may read every passage."""

    attempt: Attempt
    location: ClassVar[str] = ModelLocation.INSIDE.value
    reason: ClassVar[str] = REASON

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        return self.chat.stream(messages, max_tokens=max_tokens)

    def give_up(self) -> bool:
        """Let the active model answer instead, by its own rules of what it may read."""
        self.attempt.failed = True
        return True


@dataclass(frozen=True, slots=True)
class ABTestChat:
    """The candidate until it is unavailable, then the active model."""

    candidate: ChatModel
    active: ChatModel
    attempt: Attempt

    @property
    def name(self) -> str:
        return self._answering.name

    @property
    def context_tokens(self) -> int:
        return self._answering.context_tokens

    def count_tokens(self, text: str) -> int:
        return self._answering.count_tokens(text)

    def for_documents(self, documents: Collection[UUID]) -> ChatModel | None:
        """Return the model for a prompt with passages of these documents; None if no model may have it."""
        return choose_model(self.active, documents) if self.attempt.failed else self._wrap_candidate()

    def before_search(self) -> ChatModel | None:
        """Return the model for the question alone; None if no model may have it."""
        return choose_rewriter(self.active) if self.attempt.failed else self._wrap_candidate()

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        return self._answering.stream(messages, max_tokens=max_tokens)

    @property
    def _answering(self) -> ChatModel:
        return self.active if self.attempt.failed else self.candidate

    def _wrap_candidate(self) -> ChatModel:
        return _Candidate(self.candidate, self.attempt)


def build_chat(settings: Environment, active: ChatModel, attempt: Attempt) -> ABTestChat:
    """Return the chat of a person whom the model of these settings answers."""
    bounded = _bound_waits(settings)
    return ABTestChat(lazy(lambda: candidate_chat_model(bounded)), active, attempt)


def _bound_waits(settings: Environment) -> Environment:
    limits = {
        "llm_queue_timeout_seconds": min(settings.llm_queue_timeout_seconds, MAX_WAIT_SECONDS),
        "llm_first_token_timeout_seconds": min(settings.llm_first_token_timeout_seconds, MAX_WAIT_SECONDS),
    }
    return settings.model_copy(update=limits)
