"""Answerability by rules and a reader model that looks for the answer in the passages.

    rules        reader                     result
    answerable   sure that there is none    refused: nothing in the passages answers this
    answerable   anything else              as the rules say
    none         sure of a passage          answerable, if that passage has all names and years asked for
    none         anything else              as the rules say

The reader is sure of a passage from MIN_SURE_PROBABILITY, and sure that there is none if all passages are at
most MAX_UNANSWERED_PROBABILITY. Words may differ, so the reader may find what the rules miss; but readers
tend to take one town's rate for another's.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import AnswerReader, Embedder
from cairn.telemetry.metrics import count_model_failure
from cairn.telemetry.throttled_log import ThrottledLogger
from retrieval.answering.answerability.calibration import Calibration
from retrieval.answering.answerability.rules import RuleAnswerability
from retrieval.answering.answerability.signals import block_text, missing_names
from retrieval.answering.protocols import Answerability, Judgement
from retrieval.answering.text.lexicon import language_of
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import ReplyLanguage, reply_language
from retrieval.types import Hit

MAX_PASSAGES = 5
MIN_SURE_PROBABILITY = 0.8
MAX_UNANSWERED_PROBABILITY = 0.1

_throttled_log = ThrottledLogger(logging.getLogger(__name__))


def build_answerability(
    embedder: Embedder,
    reader: AnswerReader | None,
    calibration: Calibration | None = None,
    reranker: str = "",
) -> Answerability:
    """Build the judge. `calibration`: None for the shipped one. `reranker`: the name of the model whose
    scores the evidence has."""
    rules = RuleAnswerability(embedder, calibration, reranker)
    return rules if reader is None else ReaderAnswerability(rules, reader)


@dataclass(frozen=True, slots=True)
class ReaderAnswerability:
    """Rules plus a reader; while the reader is unavailable, the rules alone."""

    rules: Answerability
    reader: AnswerReader

    def judge(
        self, question: str, evidence: Sequence[Hit], language: ReplyLanguage | None = None
    ) -> Judgement:
        language = language or reply_language(question)
        ruled = self.rules.judge(question, evidence, language)
        texts = [block_text(hit, hit.text) for hit in evidence[:MAX_PASSAGES]]
        sure = self._read(question, texts)
        if not sure:
            return ruled
        if ruled.answerable:
            return _reject(ruled, language) if max(sure) <= MAX_UNANSWERED_PROBABILITY else ruled
        found = (
            text for text, probability in zip(texts, sure, strict=True) if probability >= MIN_SURE_PROBABILITY
        )
        named = any(not missing_names(question, text, language_of(question)) for text in found)
        return replace(ruled, answerable=True, reason="", strong=True) if named else ruled

    def _read(self, question: str, texts: Sequence[str]) -> list[float]:
        try:
            return self.reader.answerable(question, texts) if texts else []
        except (Unavailable, ConfigurationError) as error:
            count_model_failure("answer_reader")
            _throttled_log.warn(f"judged by rules alone: {error.message}")
            return []


def _reject(ruled: Judgement, language: ReplyLanguage) -> Judgement:
    return replace(ruled, answerable=False, reason=render_message("unread", language), strong=False)
