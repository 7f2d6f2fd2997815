"""Writes number words as digits, so that "fünfundzwanzig", "25" and "twenty-five" are the same."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from text_to_num import Occurence, find_numbers

from cairn.inference.language_identification import identify
from retrieval.answering.text.lexicon import MONTHS, SCALES, UNITS, Language, language_of
from retrieval.answering.text.locales import LANGUAGES, percent_phrases
from retrieval.answering.text.terms import content_stems

MIN_CONFIDENCE: Final = 0.5
MAX_CHARACTERS: Final = 2000  # enough to identify a language
MAX_VAGUE: Final = 2  # "one", "the first", "a second"

_TOKEN: Final = re.compile(r"[^\W\d_]+|\d[\d.,]*|\s+|.", re.DOTALL)
_PERCENT: Final = re.compile(rf"\b(?:{'|'.join(sorted(percent_phrases()))}|per cent)\b", re.IGNORECASE)
_VAGUE: Final = frozenset({"sei", "neuf", "cuarto", "cuarta", "quarto", "quarta", "quinta", "sexta"})
"""Numbers that are also other words of the same language: "you are", "new", "room"."""
_NEVER: Final = {
    "en": frozenset({"o", "os", "ones", "tens", "hundreds", "thousands", "zeros", "thirds", "tenths"}),
    "de": frozenset({"dritte", "dritten", "dritter"}),
}
"""Words that the parser reads but that state no number. German ones only with a capital: third parties."""
_BEFORE_TIME: Final = frozenset({"a", "per", "each", "every", "one", "any", "split"})
_LINKS: Final = frozenset({"of", "de", "di", "del"})
_SUFFIXES: Final = {"1": "st", "2": "nd", "3": "rd"}


class _Word:
    """A token of text2num, which asks it for these things."""

    def __init__(self, text: str, *, is_other: bool) -> None:
        self._text = text
        self._is_other = is_other

    def text(self) -> str:
        return self._text

    def nt_separated(self, _: "_Word") -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return self._is_other


def comparable_stems(text: str, language: Language) -> frozenset[str]:
    """Return the stems of the content words, with number words as digits."""
    return content_stems(write_digits(text), language)


@lru_cache(maxsize=8192)
def write_digits(text: str, *, vague: bool = False) -> str:
    """Write number words as digits. `vague`: also words that are mostly pronouns, articles or idioms, such as
    "one" and "first"."""
    text = _PERCENT.sub("%", text)
    language, _ = identify_language(text)
    parts: list[str] = _TOKEN.findall(text)
    end_of_last = -2
    for number in find_numbers(_words(parts, language), language, 0):
        is_fraction = number.is_ordinal and number.start == end_of_last + 1  # "two thirds"
        end_of_last = number.end
        if not is_fraction and (vague or not _is_vague(number, parts)):
            parts[number.start : number.end] = [_digits(number), *[""] * (number.end - number.start - 1)]
    return "".join(parts)


@lru_cache(maxsize=8192)
def identify_language(text: str) -> tuple[str, float]:
    """Return the language that the numbers are probably written in, and the confidence from 0 to 1."""
    language, confidence = identify(text[:MAX_CHARACTERS], LANGUAGES)
    return (language, confidence) if confidence >= MIN_CONFIDENCE else (language_of(text), 0.0)


@lru_cache(maxsize=8192)
def is_number_word(word: str) -> bool:
    return any(find_numbers([_Word(word, is_other=False)], language, 0) for language in ("en", "de"))


def _words(parts: Sequence[str], language: str) -> list[_Word]:
    """Return tokens for the parser. Lines and cells of a table end a number."""
    return [
        _Word("." if "\n" in part or part == "|" else part, is_other=_is_other(parts, at, language))
        for at, part in enumerate(parts)
    ]


def _is_other(parts: Sequence[str], at: int, language: str) -> bool:
    """Return whether the word is no number here. "3 million" is read together with its digits."""
    word = parts[at]
    if not word.isalpha():
        return False
    before, after = _neighbour(parts, at, -1), _neighbour(parts, at, 1)
    return (
        (word.casefold() in _NEVER.get(language, ()) and (language != "de" or word[0].isupper()))
        or (word.casefold() in SCALES and before[:1].isdigit())
        or (word == "second" and before in _BEFORE_TIME)
        or (word == "third" and after.startswith("part"))
        or after == "feira"
    )


def _neighbour(parts: Sequence[str], at: int, step: int) -> str:
    """Return the next word in lower case, over one space or hyphen."""
    place = at + 2 * step
    between = parts[at + step] if 0 <= at + step < len(parts) else ""
    return parts[place].casefold() if 0 <= place < len(parts) and between in (" ", "-") else ""


def _is_vague(number: Occurence, parts: Sequence[str]) -> bool:
    """Return whether the word mostly means something else. A date or a unit shows that it does not."""
    is_article = number.value < MAX_VAGUE and not number.is_ordinal
    is_idiom = number.is_ordinal and number.value <= MAX_VAGUE
    is_other = parts[number.start].casefold() in _VAGUE
    if is_article or not (is_idiom or is_other):
        return is_article
    after = _neighbour(parts, number.end - 1, 1)
    if after in _LINKS:
        after = _neighbour(parts, number.end + 1, 1)
    is_dated = after in MONTHS or _neighbour(parts, number.start, -1) in MONTHS
    return not (is_dated or (is_other and after in UNITS))


def _digits(number: Occurence) -> str:
    if not number.is_ordinal:
        return str(number.text)
    digits = str(int(number.value))
    return digits + ("th" if digits[-2:-1] == "1" else _SUFFIXES.get(digits[-1], "th"))
