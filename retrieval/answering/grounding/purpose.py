"""The purpose that a sentence takes from its question: "To export the data, press Download"."""

import re
from typing import Final

from retrieval.answering.grounding.negation import contradicts
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.number_words import comparable_stems

_PURPOSE: Final = re.compile(r"(?:in order to|to|um)\s+([^,.;:?!]{2,200}),\s+(?=\w)", re.IGNORECASE)


def split_purpose(sentence: str, question: str, language: Language) -> tuple[str, str]:
    """Return the opening purpose if it has only words and figures of the question, and the rest; else an
    empty purpose and the sentence.

    The rest is what the sentence states; whether it serves the purpose is another question. Conditions ("if",
    "when") aren't split off: what is stated holds only under them.
    """
    match = _PURPOSE.match(sentence)
    if match is None or not _repeats(match[1], question, language):
        return "", sentence
    rest = sentence[match.end() :]
    return match[1], rest[:1].upper() + rest[1:]


def _repeats(purpose: str, question: str, language: Language) -> bool:
    known = comparable_stems(question, language)
    return comparable_stems(purpose, language) <= known and not contradicts(purpose, question, language)
