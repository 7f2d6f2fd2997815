"""Protocols of the components that answering depends on."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from llama_index.core.llms import ChatMessage

from retrieval.answering.grounding.check import Support
from retrieval.answering.text.refusals import ReplyLanguage
from retrieval.types import Declined, Hit, Location, ModelRoute, SpellingCorrection, VerifiedText

Search = Callable[[str], Sequence[Hit]]
"""Search function: hits for a query, best first, each already checked against the reader's access."""

FindVerified = Callable[[str], Sequence[VerifiedText]]
"""Function that finds the verified answers to exactly this question that the reader has access to."""

CorrectSpelling = Callable[[str, Sequence[Hit]], Sequence[SpellingCorrection]]
"""Function that corrects words of a question that none of its hits has."""

Decline = Callable[[Collection[str]], Declined | None]
"""Function that finds the rule of the usage policy that declines one of these texts."""

LoadPassage = Callable[[UUID, int], Hit | None]
"""Function that loads the passage of a version with this number, None unless the reader has access to it."""

Locate = Callable[[Hit, str], Location]
"""Function that finds the page and boxes of a quote."""


class ChatModel(Protocol):
    """Raises Unavailable when the model cannot be reached, also in the middle of a stream."""

    @property
    def name(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        """Yield text as it is generated. Closing the iterator ends the generation.

        Iterators of shared models also have `place`, the position in the queue, and `with_pauses`, which
        yields empty strings while nothing is written.
        """


@dataclass(frozen=True, slots=True)
class WrappedChat:
    """Base of chat models that ask another one. They define `stream`."""

    chat: ChatModel

    @property
    def name(self) -> str:
        return self.chat.name

    @property
    def context_tokens(self) -> int:
        return self.chat.context_tokens

    def count_tokens(self, text: str) -> int:
        return self.chat.count_tokens(text)


def choose_model(chat: ChatModel, documents: Collection[UUID]) -> ChatModel | None:
    """Return the model that may read passages of these documents; None if no model may.

    Only models that route have `for_documents`; any other reads everything.
    """
    choose: Callable[[Collection[UUID]], ChatModel | None] | None = getattr(chat, "for_documents", None)
    return chat if choose is None else choose(documents)


def choose_rewriter(chat: ChatModel) -> ChatModel | None:
    """Return the model that may complete the question before anything is searched; None if no model may.

    Only models that route have `before_search`; any other reads every question.
    """
    choose: Callable[[], ChatModel | None] | None = getattr(chat, "before_search", None)
    return chat if choose is None else choose()


def give_up(chat: ChatModel) -> bool:
    """Return whether another model answers from now on in place of this one, which is unavailable.

    Only candidates of A/B tests have `give_up`; in place of any other model, passages are quoted.
    """
    replace: Callable[[], bool] | None = getattr(chat, "give_up", None)
    return replace is not None and replace()


def route_of(chat: ChatModel) -> ModelRoute:
    """Return the model, where it runs and why it was chosen."""
    reason = getattr(chat, "reason", "")
    return ModelRoute(chat.name, str(getattr(chat, "location", "inside")), str(reason))


class SentenceCheck(Protocol):
    def check(self, sentence: str, cited: Sequence[int]) -> Support:
        """Find quotes that support the sentence, first of all in the cited passages."""

    def announces(self, line: str) -> bool:
        """Return whether a heading or lead-in only has words of the question or a passage."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reason` describes what is missing. `strong`: the evidence may be quoted verbatim as the answer.

    `signals`: the values behind the judgement, by name, for calibration.
    """

    answerable: bool
    reason: str = ""
    strong: bool = False
    signals: Mapping[str, float] = field(default_factory=dict)


class Answerability(Protocol):
    def judge(
        self, question: str, evidence: Sequence[Hit], language: ReplyLanguage | None = None
    ) -> Judgement:
        """Judge whether the evidence, best first, can answer the question. Reasons only name words of the
        question. `language`: that of the reason; None for the question's."""
