"""Antonyms: small words that reverse the meaning of a sentence."""

import re
from collections.abc import Sequence

_PAIRS = (
    ("before|prior to|earlier than", "after|following|later than"),
    (
        r"at least|minimum|no less than|no fewer than|or more|mindestens|wenigstens",
        r"at most|maximum|up to|no more than|not more than|or less|or fewer|höchstens|maximal|bis zu",
    ),
    (
        r"more than|over(?=\s+[$€£]?\d)|above(?=\s+[$€£]?\d)|exceed\w*|mehr als",
        r"less than|fewer than|under(?=\s+[$€£]?\d)|below(?=\s+[$€£]?\d)|up to|weniger als",
    ),
    ("always|every time|immer|stets", "sometimes|rarely|seldom|manchmal|selten"),
    ("all|every|each|alle|allen|jeder|jede|jedes", "some|certain|few|several|einige|manche|wenige"),
    (
        r"increase[sd]?|raised?|rises?|erhöh\w*",
        r"decrease[sd]?|reduced?|lower(?:s|ed)?|gesenkt|senkt|verringer\w*",
    ),
    (r"includ(?:e|es|ed|ing)|einschließlich|inklusive", r"exclud(?:e|es|ed|ing)|ausgenommen|ausschließlich"),
    (
        "mandatory|required|obligatory|compulsory|verpflichtend|vorgeschrieben|obligatorisch",
        "optional|voluntary|freiwillig|optional",
    ),
    ("earliest|frühestens", "latest|spätestens"),
    ("highest|most", "lowest|least"),
    ("first|erste[nrs]?", "last|letzte[nrs]?"),
    ("morning|morgens|vormittags", "afternoon|evening|nachmittags|abends"),
    ("start|starts|begin|begins|beginnt", "end|ends|endet"),
    ("open|opens|öffnet", "close|closes|closed|shut|schließt|geschlossen"),
    ("vor", "nach"),
)
_WORDS = (("more|mehr", "less|fewer|weniger"), ("over|above|über", "under|below|unter"), ("least", "most"))


def _compile_both_ways(
    pairs: Sequence[tuple[str, str]],
) -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    return tuple(
        (re.compile(rf"\b(?:{one})\b", re.IGNORECASE), re.compile(rf"\b(?:{other})\b", re.IGNORECASE))
        for one, other in (*pairs, *((other, one) for one, other in pairs))
    )


_OPPOSITES = _compile_both_ways(_PAIRS)
_REPLACED = (*_OPPOSITES, *_compile_both_ways(_WORDS))
_OBLIGES = re.compile(
    r"\b(?:must|shall|(?:has|have|had) to|(?:is|are) (?:required|obliged) to|muss|müssen)\b"
    r"(?! not\b| nicht\b)",
    re.IGNORECASE,
)
_DUTY = re.compile(
    rf"{_OBLIGES.pattern}|\b(?:needs?|required|mandatory|mandated|only|erforderlich|nur)\b", re.IGNORECASE
)
_PERMITS = re.compile(
    r"\b(?:may|can|could|might|optional|voluntary|kann|können|darf|dürfen)\b", re.IGNORECASE
)


def uses_opposite(claim: str, sentence: str) -> bool:
    return any(_is_opposite(claim, sentence, one, other) for one, other in _OPPOSITES)


def is_opposite_replacement(words: str, others: str) -> bool:
    """Return whether replaced words are opposites; stricter than `uses_opposite`, since one word is enough
    here."""
    return any(_is_opposite(words, others, one, other) for one, other in _REPLACED)


def obliges_more(claim: str, sentence: str) -> bool:
    """Return whether the claim turns a permission of the sentence into a duty."""
    return bool(_OBLIGES.search(claim) and _PERMITS.search(sentence) and not _DUTY.search(sentence))


def _is_opposite(claim: str, sentence: str, one: re.Pattern[str], other: re.Pattern[str]) -> bool:
    in_claim, in_sentence = one.search(claim) is not None, other.search(sentence) is not None
    return in_claim and in_sentence and not one.search(sentence) and not other.search(claim)
