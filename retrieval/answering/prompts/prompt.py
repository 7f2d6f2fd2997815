"""Prompts for the chat model. Passages are data: quoted and numbered in the user turn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from string import Template

from llama_index.core.llms import ChatMessage, MessageRole

from cairn.hidden_characters import visible
from cairn.inference.chat.prompt_messages import PromptMessages
from retrieval.answering.prompts.evidence import Passage, collect_documents

PACKAGED_VERSION = "answer-1"  # for the packaged model
DEFAULT_VERSION = "answer-2"  # for all others, unless their stored profile names another one
QUOTE_FIRST_VERSION = "answer-3"  # the model quotes the sentence it relies on first
INSTRUCTIONS_VERSION = "assistant-1"
FENCE = '"""'
_FENCE = re.compile(r"(?:[\"“”„]\s*){3,}|(?:['’]\s*){3,}")
_MARKER = re.compile(r"[\[【](\s*+(?:\^\s*+)?\d[\d\s,;–-]*)[\]】]")
_CONTROL = re.compile(r"<(?=[|/]|<?/?[A-Za-z_][\w]{0,30}\|?>)|\[(?=/?[A-Z_]{2,30}\])")
"""Start of a chat template's control token: <|im_start|>, </s>, <start_of_turn>, [INST], <<SYS>>."""


@dataclass(frozen=True, slots=True)
class Prompt:
    system: str
    user: Template

    def with_instructions(self, instructions: str) -> "Prompt":
        """Return the prompt with an assistant's instructions below the rules, which take precedence."""
        template = Template(_read_text(f"{INSTRUCTIONS_VERSION}.system.txt"))
        below = template.substitute(instructions=neutralize(instructions).strip())
        return replace(self, system=f"{self.system}\n\n{below}")

    def messages(self, question: str, evidence: Sequence[Passage]) -> PromptMessages:
        quoted = "\n\n".join(_fence(passage) for passage in evidence)
        content = self.user.substitute(passages=quoted, question=neutralize(question))
        turns = [
            ChatMessage(role=MessageRole.SYSTEM, content=self.system),
            ChatMessage(role=MessageRole.USER, content=content),
        ]
        return PromptMessages(turns, documents=collect_documents(evidence))

    def overhead(self, question: str) -> str:
        """Return the prompt without passages, for counting tokens."""
        return self.system + self.user.substitute(passages="", question=neutralize(question))


def load_prompt(version: str = DEFAULT_VERSION) -> Prompt:
    return Prompt(*load_texts(version))


def load_texts(version: str) -> tuple[str, Template]:
    """Return a prompt's system text and its user template."""
    return _read_text(f"{version}.system.txt"), Template(_read_text(f"{version}.user.txt"))


@cache
def _read_text(name: str) -> str:
    return (files("retrieval.answering") / "prompts" / name).read_text(encoding="utf-8").strip()


def neutralize(text: str) -> str:
    """Return the same words without anything that reads as our fence, our markers or a control token."""
    text = _FENCE.sub("''", visible(text))
    text = _MARKER.sub(r"(\1)", text)
    return _CONTROL.sub(lambda match: "‹" if match.group() == "<" else "(", text)


def _fence(passage: Passage) -> str:
    heading = " ".join(neutralize(passage.label).split())
    return f"[{passage.number}] {heading}\n{FENCE}\n{neutralize(passage.text)}\n{FENCE}"
