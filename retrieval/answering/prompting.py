"""What the chat model is told. Passages are data: quoted and numbered in the user turn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from llama_index.core.llms import ChatMessage, MessageRole

from cairn.text import visible
from retrieval.answering.evidence import Passage

VERSION = "answer-1"
FENCE = '"""'
_FENCE = re.compile(r"(?:[\"“”„]\s*){3,}|(?:['’]\s*){3,}")
_MARKER = re.compile(r"[\[【](\s*+(?:\^\s*+)?\d[\d\s,;–-]*)[\]】]")
_CONTROL = re.compile(r"<(?=[|/]|<?/?[A-Za-z_][\w]{0,30}\|?>)|\[(?=/?[A-Z_]{2,30}\])")
"""Openings of the control tokens of chat templates: <|im_start|>, </s>, <start_of_turn>, [INST], <<SYS>>."""


@dataclass(frozen=True, slots=True)
class Prompt:
    system: str
    user: Template

    def messages(self, question: str, evidence: Sequence[Passage]) -> list[ChatMessage]:
        quoted = "\n\n".join(_fenced(passage) for passage in evidence)
        content = self.user.substitute(passages=quoted, question=neutral(question))
        return [
            ChatMessage(role=MessageRole.SYSTEM, content=self.system),
            ChatMessage(role=MessageRole.USER, content=content),
        ]

    def overhead(self, question: str) -> str:
        """All that is sent but the passages; for counting tokens."""
        return self.system + self.user.substitute(passages="", question=neutral(question))


def load_prompt(version: str = VERSION) -> Prompt:
    return Prompt(*load_texts(version))


def load_texts(version: str) -> tuple[str, Template]:
    """What a prompt says as the system, and to be filled in as the user."""
    folder = files("retrieval.answering") / "prompts"
    system, user = (
        (folder / f"{version}.{part}.txt").read_text(encoding="utf-8").strip() for part in ("system", "user")
    )
    return system, Template(user)


def neutral(text: str) -> str:
    """The same words, with nothing in it that reads as our fence, our markers or a control token."""
    text = _FENCE.sub("''", visible(text))
    text = _MARKER.sub(r"(\1)", text)
    return _CONTROL.sub(lambda match: "‹" if match.group() == "<" else "(", text)


def _fenced(passage: Passage) -> str:
    heading = " ".join(neutral(passage.label).split())
    return f"[{passage.number}] {heading}\n{FENCE}\n{neutral(passage.text)}\n{FENCE}"
