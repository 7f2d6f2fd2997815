"""Refusals of questions in another language than the passages that were found.

An encoder for English hardly relates a German question to an English passage. Then the passages say nothing
about whether the documents have an answer, and the person can help by asking in the documents' language.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from babel import Locale

from retrieval.answering.text.lexicon import recognised_language
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.number_words import identify_language
from retrieval.answering.text.refusals import MIN_CONFIDENCE, ReplyLanguage
from retrieval.types import Hit

_MAX_PASSAGES: Final = 5


def explain_other_language(
    question: str, evidence: Sequence[Hit], reply_language: ReplyLanguage
) -> str | None:
    """Return the reason for a refusal if most passages are in another language than the question, else None.

    A few may be in the question's language: an encoder for one language prefers them, whatever they say.
    """
    asked_in = _identify(question)
    found_in = [_identify(hit.text) for hit in evidence[:_MAX_PASSAGES]]
    if asked_in is None or not found_in:
        return None
    [(most_frequent, count)] = Counter(found_in).most_common(1)
    if most_frequent in {None, asked_in} or 2 * count <= len(found_in):
        return None
    name = Locale(reply_language).languages[most_frequent]
    return render_message("other_language", reply_language, other=name)


def _identify(text: str) -> str | None:
    """Return the language if it is certain. Keywords and names alone often resemble a language."""
    if recognised := recognised_language(text):
        return recognised
    language, confidence = identify_language(text)
    return language if confidence >= MIN_CONFIDENCE else None
