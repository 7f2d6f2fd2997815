"""Answerability by rules and a model that reads the passages for the answer.

    the rules find   and the reader is      then
    an answer        sure of none           refused: nothing in the passages answers this
    an answer        anything else          as the rules say
    none             sure of a passage      answerable, if that passage has all names and years asked for
    none             anything else          as the rules say

Sure of a passage: SURE or more. Sure of none: SURE_OF_NONE or less for each passage. Words may differ, so the
reader may find what the rules miss; but readers like to take one town's rate for another's.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import AnswerReader, Embedder
from cairn.telemetry.measured import model_failed
from retrieval.answering.answerability import RuleAnswerability
from retrieval.answering.calibration import Calibration
from retrieval.answering.lexicon import language_of
from retrieval.answering.protocols import Answerability, Judgement
from retrieval.answering.signals import block_text, missing_names
from retrieval.answering.wording import say
from retrieval.rarely import Rarely
from retrieval.types import Hit

CONSIDERED = 5
SURE = 0.8
SURE_OF_NONE = 0.1

_trouble = Rarely(logging.getLogger(__name__))


def answerability(
    embedder: Embedder, reader: AnswerReader | None, calibration: Calibration | None = None
) -> Answerability:
    """`calibration`: None for what comes with Cairn."""
    rules = RuleAnswerability(embedder, calibration)
    return rules if reader is None else ReadAnswerability(rules, reader)


@dataclass(frozen=True, slots=True)
class ReadAnswerability:
    """Without its reader, when that cannot be had, it is the rules alone."""

    rules: Answerability
    reader: AnswerReader

    def judge(self, question: str, evidence: Sequence[Hit]) -> Judgement:
        ruled = self.rules.judge(question, evidence)
        texts = [block_text(hit, hit.text) for hit in evidence[:CONSIDERED]]
        sure = self._read(question, texts)
        if not sure:
            return ruled
        if ruled.answerable:
            return _unanswered(question, ruled) if max(sure) <= SURE_OF_NONE else ruled
        found = (text for text, probability in zip(texts, sure, strict=True) if probability >= SURE)
        named = any(not missing_names(question, text, language_of(question)) for text in found)
        return replace(ruled, answerable=True, reason="", strong=True) if named else ruled

    def _read(self, question: str, texts: Sequence[str]) -> list[float]:
        try:
            return self.reader.answerable(question, texts) if texts else []
        except (Unavailable, ConfigurationError) as error:
            model_failed("answer_reader")
            _trouble.warn(f"judged by rules alone: {error.message}")
            return []


def _unanswered(question: str, ruled: Judgement) -> Judgement:
    return replace(ruled, answerable=False, reason=say("unread", language_of(question)), strong=False)
