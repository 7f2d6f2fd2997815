"""Makes a follow-up question stand by itself, by rules: it is put behind the question that it follows."""

import re
from collections.abc import Sequence

from retrieval.answering.lexicon import language_of
from retrieval.answering.terms import content_stems
from retrieval.types import Turn

LONGEST = 2000
FURTHEST = 3  # turns looked back through, when follow-ups follow each other
LONG_ENOUGH = 14  # words: a longer question brings its own subject
_OPENING = re.compile(
    r"(?:and|or|but|also|so|then|what about|how about|what if|why not|und|oder|aber|was ist mit|"
    r"wie ist es mit|wie sieht es|und wenn|warum nicht|wieso nicht)\b",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\b(?:is|was|would|will|does|can|how long does|what does)\s+it\s+(?:be\s+)?(?:possible|necessary|"
    r"allowed|okay|ok|true|required|take|mean|cost|safe|legal|permitted)\b[^?]*\b(?:to|that|if)\b"
    r"|\bthis (?:year|week|month|quarter|page|company)\b|\bgibt es\b|\bist es (?:möglich|erlaubt|nötig)\b"
    r"|\bes (?:gibt|geht um)\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|the same|that one|those ones|there|instead"
    r"|er|ihn|ihm|es|ihnen|deren|dessen|dort|davon|dafür|dazu|damit|dagegen|darüber|stattdessen|derselbe|dasselbe)\b"
    r"|\b(?:this|that|these|those|das|dies|diese|dieser|dieses)\b(?=\s*(?:$|[?.!,]|is\b|are\b|was\b|were\b|do\b"
    r"|does\b|apply\b|applies\b|work\b|works\b|mean\b|also\b|too\b|ist\b|sind\b|gilt\b|gelten\b|auch\b|too\b))",
    re.IGNORECASE,
)


def standalone_question(question: str, history: Sequence[Turn]) -> str:
    """Combining is harmless where it was not needed: the new question still has the last word."""
    parts = [_tidy(question)]
    for turn in reversed(history[-FURTHEST:]):
        if not leans_back(parts[0]):
            break
        parts.insert(0, _tidy(turn.question))
    joined = " ".join(part for part in parts if part)
    return joined if len(joined) <= LONGEST else parts[-1]


def leans_back(question: str) -> bool:
    """Whether the question takes its subject from the one before it."""
    text = question.strip()
    if not text:
        return False
    if _OPENING.match(text):
        return True
    if len(content_stems(text, language_of(text))) < 2 and len(text.split()) < 4:
        return True
    return len(text.split()) <= LONG_ENOUGH and bool(_REFERENCE.search(_EXPLETIVE.sub(" ", text)))


def _tidy(question: str) -> str:
    return " ".join(question[:LONGEST].split())
