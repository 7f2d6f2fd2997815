"""Phrases in quotation marks, which are meant word for word."""

import re
from collections.abc import Sequence

from retrieval.types import Hit

_QUOTED = re.compile(r'"([^"“”„«»]{2,200})"|[“„«]([^"“”„«»]{2,200})[“”»]')
_WORD = re.compile(r"\w+")


def phrases_in(query: str) -> list[str]:
    """Normalised; those of one word too, if it has more than one character."""
    found = (_normalize(straight or curly) for straight, curly in _QUOTED.findall(query))
    return list(dict.fromkeys(phrase for phrase in found if len(phrase) > 1))


def phrases_first(hits: Sequence[Hit], phrases: Sequence[str]) -> list[Hit]:
    """Sort hits with all phrases in text or headings first, otherwise keeping the order."""
    return sorted(hits, key=lambda hit: not _contains_phrases(hit, phrases)) if phrases else list(hits)


def _contains_phrases(hit: Hit, phrases: Sequence[str]) -> bool:
    """Whole words, whatever their case and what stands between them."""
    words = f" {_normalize(' '.join((hit.title, *hit.section, hit.text)))} "
    return all(f" {phrase} " in words for phrase in phrases)


def _normalize(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
