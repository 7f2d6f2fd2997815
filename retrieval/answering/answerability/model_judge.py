"""The language model as a second judge, for models that proved good at it in an evaluation."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from cairn.errors import Unavailable
from cairn.telemetry.context import close_iterator
from cairn.telemetry.metrics import count_model_failure
from cairn.telemetry.throttled_log import ThrottledLogger
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.prompts.prompt import load_prompt
from retrieval.answering.protocols import Answerability, Judgement, choose_model
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import ReplyLanguage, reply_language
from retrieval.types import Hit

VERSION: Final = "judge-1"
MAX_TOKENS: Final = 4
_NO: Final = re.compile(r"\W*no\b", re.IGNORECASE)

_throttled_log = ThrottledLogger(logging.getLogger(__name__))


@dataclass(frozen=True, slots=True)
class ModelAnswerability:
    """Refuses questions that the passages don't answer according to the model, or that `first` refuses. While
    the model is unavailable, or if no model may read the passages, `first` decides alone."""

    first: Answerability
    evidence: EvidenceBudget

    def judge(
        self, question: str, evidence: Sequence[Hit], language: ReplyLanguage | None = None
    ) -> Judgement:
        language = language or reply_language(question)
        judgement = self.first.judge(question, evidence, language)
        if not judgement.answerable or not self._denies(question, evidence):
            return judgement
        reason = render_message("unread", language)
        return replace(judgement, answerable=False, reason=reason, strong=False)

    def _denies(self, question: str, evidence: Sequence[Hit]) -> bool:
        budget = replace(self.evidence, prompt_version=VERSION, max_tokens=MAX_TOKENS)
        messages = load_prompt(VERSION).messages(question, budget.select_passages(question, evidence))
        if not messages.documents:
            return False
        chat = choose_model(self.evidence.chat, messages.documents)
        if chat is None:
            return False
        try:
            stream = chat.stream(messages, max_tokens=MAX_TOKENS)
            try:
                return _NO.match("".join(stream)) is not None
            finally:
                close_iterator(stream)
        except Unavailable as error:
            count_model_failure("chat")
            _throttled_log.warn(f"judged without the language model: {error.message}")
            return False
