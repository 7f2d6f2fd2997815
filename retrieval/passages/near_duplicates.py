"""Detects passages with nearly the same words, such as a page that is stored twice.

Two texts are near-duplicates when their words, each as often as it occurs, agree to nine tenths (Jaccard
index of multisets). The difference must not be essential: all figures agree in order, since last year's rates
are not a copy of this year's, and no name or word that reverses a rule (not, only, before, three) is in one
text alone.
"""

import re
from collections import Counter
from functools import cached_property

MIN_JACCARD = 0.9
_WORD = re.compile(r"\w+")
_FIGURE = re.compile(r"\d+")
_MAX_LENGTH_DIFFERENCE = (
    0.25  # in characters: a tenth of the words cannot make more, unless they are very long
)
_BITS = 1023
_DECISIVE_WORDS = """no not never none nor without cannot except unless only must may shall should can all
any before after above below more less least most until paid unpaid full part half one two three four five six
seven eight nine ten nicht kein keine keinen keinem keiner nie ohne nur muss darf soll kann alle vor nach mehr
weniger bis"""
_DECISIVE = frozenset(_DECISIVE_WORDS.split())


class Fingerprint:
    """A text prepared for comparison. Costlier features are only computed if cheaper ones do not decide."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._size = len(text)
        self._figures = _FIGURE.findall(text)

    def matches(self, other: "Fingerprint") -> bool:
        if self._figures != other._figures or self._differs_in_length(other):
            return False
        most = (len(self._words) + len(other._words)) * (1 - MIN_JACCARD) / (1 + MIN_JACCARD)
        if (self._bits ^ other._bits).bit_count() > most:  # a word of one alone changes one bit at most
            return False
        ours, theirs = self._counts - other._counts, other._counts - self._counts
        if ours.total() + theirs.total() > most:
            return False
        return not any(self._is_decisive(word) or other._is_decisive(word) for word in (*ours, *theirs))

    def _differs_in_length(self, other: "Fingerprint") -> bool:
        return abs(self._size - other._size) > _MAX_LENGTH_DIFFERENCE * max(self._size, other._size)

    def _is_decisive(self, word: str) -> bool:
        return word in _DECISIVE or word in self._capitalised

    @cached_property
    def _words(self) -> list[str]:
        return _WORD.findall(self._text.casefold())

    @cached_property
    def _bits(self) -> int:
        bits = 0
        for word in set(self._words):
            bits |= 1 << (hash(word) & _BITS)
        return bits

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(self._words)

    @cached_property
    def _capitalised(self) -> frozenset[str]:
        return frozenset(word.casefold() for word in _WORD.findall(self._text) if word[0].isupper())
