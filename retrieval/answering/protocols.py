"""What answering asks of its surroundings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llama_index.core.llms import ChatMessage

from retrieval.answering.support import Support
from retrieval.types import Hit, Place

Search = Callable[[str], Sequence[Hit]]
"""Hits for a query, best first, each already checked against what the asker may read."""

Locate = Callable[[Hit, str], Place]
"""Where a quote of a hit stands."""


class ChatModel(Protocol):
    """Raises Unavailable when the model cannot be reached, also in the middle of a stream."""

    @property
    def name(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        """Pieces of text as they are written. Closing the iterator ends the generation. Where others may
        come first it has a `place` in the queue, and `with_pauses`: empty pieces while nothing is written."""


class SentenceCheck(Protocol):
    def check(self, sentence: str, cited: Sequence[int]) -> Support:
        """Whether a passage says it, first of all one of those cited, and with which words."""

    def announces(self, line: str) -> bool:
        """Whether a heading or a lead-in has no word but the question's or a passage's."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reason` says what is missing. `strong`: evidence that may stand by itself, word for word.

    `signals`: by name, what it was judged by, for whoever wants to calibrate.
    """

    answerable: bool
    reason: str = ""
    strong: bool = False
    signals: Mapping[str, float] = field(default_factory=dict)


class Answerability(Protocol):
    def judge(self, question: str, evidence: Sequence[Hit]) -> Judgement:
        """Whether the evidence, best first, can hold an answer. Never names what is not in the question."""
