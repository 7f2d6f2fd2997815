"""Passages that say the same in nearly the same words, such as a page that is kept twice.

Two texts are near-duplicates when their words, each as often as it occurs, agree to nine tenths (Jaccard
index of multisets). But what differs must not be what matters: figures agree all, in their order, since last
year's rates are no copy of this year's; and neither a name nor a word that turns a rule round (not, only,
before, three) may stand in one text alone.
"""

import re
from collections import Counter
from functools import cached_property

NEARLY_THE_SAME = 0.9
_WORD = re.compile(r"\w+")
_FIGURE = re.compile(r"\d+")
_UNEVEN = 0.25  # in characters: a tenth of the words cannot make more, unless they are very long
_BITS = 1023
_DECISIVE_WORDS = """no not never none nor without cannot except unless only must may shall should can all
any before after above below more less least most until paid unpaid full part half one two three four five six
seven eight nine ten nicht kein keine keinen keinem keiner nie ohne nur muss darf soll kann alle vor nach mehr
weniger bis"""
_DECISIVE = frozenset(_DECISIVE_WORDS.split())


class Wording:
    """A text as it is compared. What costs more is found out when what costs less does not decide."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._size = len(text)
        self._figures = _FIGURE.findall(text)

    def like(self, other: "Wording") -> bool:
        if self._figures != other._figures or self._uneven(other):
            return False
        most = (len(self._words) + len(other._words)) * (1 - NEARLY_THE_SAME) / (1 + NEARLY_THE_SAME)
        if (self._bits ^ other._bits).bit_count() > most:  # a word of one alone changes one bit at most
            return False
        ours, theirs = self._counts - other._counts, other._counts - self._counts
        if ours.total() + theirs.total() > most:
            return False
        return not any(self._matters(word) or other._matters(word) for word in (*ours, *theirs))

    def _uneven(self, other: "Wording") -> bool:
        return abs(self._size - other._size) > _UNEVEN * max(self._size, other._size)

    def _matters(self, word: str) -> bool:
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
