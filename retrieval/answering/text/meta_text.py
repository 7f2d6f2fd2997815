"""Patterns for boilerplate of models: remarks about themselves, the passages or the prompt."""

import re


def _any(*patterns: str) -> str:
    return "(?:" + "|".join(patterns) + ")"


_SOURCE = _any(
    "passages?", "text", "context", "information", "documents?", "sources?", "textstellen?",
    "abschnitt(?:en?)?", "stellen", "quellen?", "passagen",
)  # fmt: skip
_GIVEN = r"(?:\s*(?:\d+|above|provided|given|oben))*"

INTRODUCTION = re.compile(
    "^"
    + _any(
        r"(?:sure|certainly|of course|okay|gerne)[,.!:]?\s+",
        r"(?:based on|according to|laut|gemäß|nach)\s+(?:(?:the|den|der)\s+)?"
        rf"(?:(?:above|given|provided|numbered|obigen)\s+)*{_SOURCE}{_GIVEN}\s*[,:]\s*",
        r"(?:the\s+)?answer(?:\s+to\s+(?:the|your)\s+question)?(?:,?\s*[\"“][^\"”]{0,300}[\"”],?)?(?:\s+is)?:?\s+"
        r"(?<=[:s]\s)",
        r"(?:die\s+)?antwort(?:\s+lautet)?:\s*",
    )
    + "+",
    re.IGNORECASE,
)
"""Opening of a sentence that can be removed."""

META = re.compile(
    _any(
        r"here(?:['’]s| is| are) (?:the|an?|some|my)\b.{0,30}\b"
        r"(?:answers?|summar\w+|versions?|sentences?|texts?)\b.*",
        r"i hope this helps.*|(?:please )?let me know if.*|ich hoffe, das hilft.*",
        r"as an ai\b.*|i(?:'m| am) (?:an ai|a language)\b.*|als ki\b.*",
        r"to answer (?:the|your|this) question.*",
        rf"the {_SOURCE}{_GIVEN} (?:provides?|describes?|discusses|is about|explains)\b.*",
        r"(?:question|frage|passages?|system|assistant|user)\s*:.*",
        r"<[^>]*>.*|\"\"\".*",
        r"the answer\b.{0,80}\bis:?",
        r".*\?[\"'”’)]*",
        r"end (?:each )?(?:the )?sentence.*|write only:?.*",
    ),
    re.IGNORECASE | re.DOTALL,
)
"""Whole sentence that is not part of an answer."""

ABSTAINS = re.compile(
    _any(
        rf"\b{_SOURCE}\b[^.]{{0,30}}\b(?:do(?:es)? not|don['’]t|doesn['’]t)\s+"
        r"(?:tell|say|answer|mention|contain|provide|specify|state|include|address)\b",
        rf"\bnot (?:mentioned|stated|found|given|specified|covered) in the {_SOURCE}\b",
        rf"\b{_SOURCE}\b[^.]{{0,40}}\b(?:nicht|keine?)\b[^.]{{0,40}}\b"
        r"(?:sagen|genannt|erwähn\w*|enthalten|beantwort\w*|angaben?|antwort|information\w*)\b",
        rf"\b{_SOURCE}\s+(?:sagen|sagt|enthalten|enthält|erwähnen|nennen|beantworten)\b[^.]{{0,30}}"
        r"\b(?:nicht|nichts|keine)\b",
    ),
    re.IGNORECASE,
)
"""Statement that the passages have no answer."""
