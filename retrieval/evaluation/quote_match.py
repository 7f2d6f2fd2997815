"""Comparison of quotes regardless of whitespace and Markdown."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

_TARGET = re.compile(r"\]\([^)\s]*\)")
_WORD = re.compile(r"[^\W_]+")
_LEAST_SHARE: Final = 0.5
_LEAST_WORDS: Final = 3


def any_overlaps(quotes: Iterable[str], gold: str) -> bool:
    gold_words = _words(gold)
    return any(_overlap(_words(quote), gold_words) for quote in quotes)


def _overlap(one: list[str], other: list[str]) -> bool:
    """Half of the shorter one, and three words if both have so many, stand in the other in one run."""
    run = SequenceMatcher(None, one, other, autojunk=False).find_longest_match().size
    shorter = min(len(one), len(other))
    return run > 0 and run >= max(_LEAST_SHARE * shorter, min(_LEAST_WORDS, len(other)))


def _words(text: str) -> list[str]:
    """Return the words without link targets and marks, which a rendered passage does not show."""
    return _WORD.findall(_TARGET.sub("] ", unicodedata.normalize("NFKC", text)).casefold())
