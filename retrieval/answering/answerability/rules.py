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
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.messages import format_terms, render_message
from retrieval.types import Hit

MIN_RELATED_COSINE = 0.4  # cosine below which passages are said to be about something else
MIN_ANSWER_TYPE_GAP = 0.08  # a gap from which what is asked for is said to be lacking
MIN_RELATED_WORDS = 0.5


class RuleAnswerability:
    def __init__(self, embedder: Embedder, calibration: Calibration | None = None) -> None:
        """`calibration` defaults to the one shipped for the embedder's model."""
        self._embedder = embedder
        self._calibration = calibration or calibration_for(embedder.model)

    def judge(self, question: str, evidence: Sequence[Hit]) -> Judgement:
        language = language_of(question)
        if not evidence:
            return Judgement(answerable=False, reason=render_message("no_hits", language))
        assessment = assess_evidence(question, evidence, self._embedder)
        probability = self._calibration.probability(assessment.signals)
        answerable = probability >= self._calibration.threshold
        reason = "" if answerable else _refusal_reason(question, assessment, language)
        return Judgement(answerable, reason, strong=answerable, signals=assessment.signals.as_dict())


def _refusal_reason(question: str, assessment: Assessment, language: Language) -> str:
    """Explain what is missing by its clearest sign. Only words of the question are named."""
    terms = [word for word in (*assessment.missing_words, *assessment.unnamed) if word in question]
    missing = format_terms(list(dict.fromkeys(terms)), language) if terms else ""
    if missing and (assessment.unnamed or not _is_related(assessment)):
        return render_message("missing", language, terms=missing)
    if assessment.found_words and _lacks_answer_type(assessment):
        return render_message(
            "kind",
            language,
            terms=format_terms(assessment.found_words, language),
            kind=render_message(assessment.answer_type, language),
        )
    return render_message("missing", language, terms=missing) if missing else render_message("far", language)


def _is_related(assessment: Assessment) -> bool:
    return assessment.signals.near >= MIN_RELATED_COSINE or assessment.signals.words >= MIN_RELATED_WORDS


def _lacks_answer_type(assessment: Assessment) -> bool:
    signals = assessment.signals
    return bool(assessment.answer_type) and (signals.gap >= MIN_ANSWER_TYPE_GAP or signals.uncounted > 0)
