"""How much evidence a model reads, and in which prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.answering.prompts.evidence import Passage, build_passages
from retrieval.answering.prompts.prompt import DEFAULT_VERSION, INSTRUCTIONS_VERSION, Prompt, load_prompt
from retrieval.answering.protocols import ChatModel
from retrieval.types import Hit

TEMPLATE_TOKENS = 64  # what a chat template adds to the turns
MIN_EVIDENCE_TOKENS = 64
MAX_EVIDENCE_TOKENS = 4000  # by itself; a setting may ask for more
INSTRUCTIONS_DIVISOR = 4  # instructions take at most a quarter of it
CONTEXT_DIVISOR = 3  # evidence takes at most a third of the model's context


@dataclass(frozen=True, slots=True)
class EvidenceBudget:
    """`evidence_tokens`: None is as much as the model's context allows, up to MAX_EVIDENCE_TOKENS.
    `instructions`: those of an assistant, below the rules of the prompt."""

    chat: ChatModel
    max_tokens: int
    evidence_tokens: int | None
    prompt_version: str = DEFAULT_VERSION
    instructions: str = ""

    @property
    def prompt(self) -> Prompt:
        prompt = load_prompt(self.prompt_version)
        return prompt.with_instructions(self.instructions) if self._has_instructions else prompt

    @property
    def full_prompt_version(self) -> str:
        """The version of all texts in the prompt."""
        added = f"+{INSTRUCTIONS_VERSION}" if self._has_instructions else ""
        return f"{self.prompt_version}{added}"

    @property
    def _has_instructions(self) -> bool:
        """Return whether there are instructions that leave room for passages. Half of them could say the
        opposite of all, so they are used as a whole or not at all."""
        limit = self.chat.context_tokens // INSTRUCTIONS_DIVISOR
        return bool(self.instructions.strip()) and self.chat.count_tokens(self.instructions) <= limit

    def select_passages(self, question: str, hits: Sequence[Hit]) -> list[Passage]:
        """Return the passages that fit the prompt for this question."""
        return build_passages(hits, budget=self.tokens(question), count_tokens=self.chat.count_tokens)

    def tokens(self, question: str) -> int:
        prompt = self.chat.count_tokens(self.prompt.overhead(question)) + TEMPLATE_TOKENS
        room = self.chat.context_tokens - prompt - self.max_tokens
        budget = self.evidence_tokens
        if budget is None:
            budget = min(MAX_EVIDENCE_TOKENS, self.chat.context_tokens // CONTEXT_DIVISOR)
        return max(MIN_EVIDENCE_TOKENS, min(budget, room))
