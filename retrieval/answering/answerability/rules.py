"""Answerability by rules: weighed signals decide whether the evidence can answer the question.

Similarity alone cannot decide: a near miss is as similar as an answer. The deciding signals are in the text:
the question's words or words of the same meaning, its names and years, and the expected answer type (an
amount, a time span, a count) close to the subject. Other judges fit the same protocol.
"""

from collections.abc import Sequence

from cairn.inference.protocols import Embedder
from retrieval.answering.answerability.calibration import Calibration, calibration_for
from retrieval.answering.answerability.signals import Assessment, assess_evidence
from retrieval.answering.protocols import Judgement
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import ReplyLanguage, format_terms, reply_language
from retrieval.types import Hit

MIN_RELATED_COSINE = 0.4  # cosine below which passages are said to be about something else
MIN_ANSWER_TYPE_GAP = 0.08  # how large a gap must be to be given as the reason
MIN_RELATED_WORDS = 0.5


class RuleAnswerability:
    def __init__(
        self,
        embedder: Embedder,
        calibration: Calibration | None = None,
        reranker: str = "",
    ) -> None:
        """`calibration`: the organisation's own; None for the shipped one. `reranker`: the name of the model
        whose scores the evidence has."""
        self._embedder = embedder
        self._calibration = calibration
        self._reranker = reranker

    def judge(
        self, question: str, evidence: Sequence[Hit], language: ReplyLanguage | None = None
    ) -> Judgement:
        language = language or reply_language(question)
        if not evidence:
            return Judgement(answerable=False, reason=render_message("no_hits", language))
        assessment = assess_evidence(question, evidence, self._embedder)
        signals = assessment.signals.as_dict()
        calibration = calibration_for(
            self._embedder.model, signals, own=self._calibration, reranker=self._reranker
        )
        answerable = calibration.probability(signals) >= calibration.threshold
        reason = "" if answerable else _refusal_reason(question, assessment, language)
        return Judgement(answerable, reason, strong=answerable, signals=signals)


def _refusal_reason(question: str, assessment: Assessment, language: ReplyLanguage) -> str:
    """Explain what is missing by its clearest sign: a name, or the kind of thing asked for. A list of words
    that no passage contains isn't an explanation: an answer may use others."""
    if names := [name for name in assessment.unnamed if name in question]:
        return render_message("missing", language, terms=format_terms(names, language))
    if not _is_related(assessment):
        return render_message("far", language)
    if _lacks_answer_type(assessment):
        return render_message("kind", language, kind=render_message(assessment.answer_type, language))
    return render_message("unread", language)


def _is_related(assessment: Assessment) -> bool:
    return assessment.signals.near >= MIN_RELATED_COSINE or assessment.signals.words >= MIN_RELATED_WORDS


def _lacks_answer_type(assessment: Assessment) -> bool:
    signals = assessment.signals
    return bool(assessment.answer_type) and (signals.gap >= MIN_ANSWER_TYPE_GAP or signals.uncounted > 0)
