"""How much evidence a model reads, and in which prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.answering.prompts.evidence import Passage, build_passages
from retrieval.answering.prompts.prompt import VERSION, load_prompt
from retrieval.answering.protocols import ChatModel
from retrieval.types import Hit

TEMPLATE_TOKENS = 64  # what a chat template puts around the turns
MIN_EVIDENCE_TOKENS = 64
MAX_EVIDENCE_TOKENS = 4000  # by itself; a setting may ask for more
CONTEXT_DIVISOR = 3  # evidence takes at most a third of the model's context


@dataclass(frozen=True, slots=True)
class EvidenceBudget:
    """`evidence_tokens`: None is as much as the model's context allows, up to MAX_EVIDENCE_TOKENS."""

    chat: ChatModel
    max_tokens: int
    evidence_tokens: int | None
    prompt_version: str = VERSION

    def select_passages(self, question: str, hits: Sequence[Hit]) -> list[Passage]:
        """Return the passages that fit the prompt for this question."""
        return build_passages(hits, budget=self.tokens(question), count_tokens=self.chat.count_tokens)

    def tokens(self, question: str) -> int:
        prompt = self.chat.count_tokens(load_prompt(self.prompt_version).overhead(question)) + TEMPLATE_TOKENS
        room = self.chat.context_tokens - prompt - self.max_tokens
        budget = self.evidence_tokens
        if budget is None:
            budget = min(MAX_EVIDENCE_TOKENS, self.chat.context_tokens // CONTEXT_DIVISOR)
        return max(MIN_EVIDENCE_TOKENS, min(budget, room))
