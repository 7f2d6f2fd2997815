"""Codes and form numbers in the other ways in which people write them: SF-50, SF 50, SF50; 401(k), 401k."""

import re
from collections.abc import Iterator

_PART = r"[^\W_]{1,12}"
_DASHED = rf"{_PART}(?:[-\u2010\u2011\u2013/]{_PART}){{1,4}}"  # with hyphens of any kind
_TOGETHER = re.compile(rf"{_DASHED}|\b[^\W\d_]{{1,6}} \d{{1,8}}[A-Za-z]?\b|\b\d{{1,6}}\([^\W\d_]\)")
_MIXED = re.compile(r"\b[^\W_]{3,20}\b")
_RUN = re.compile(r"\d+|[^\W\d_]+")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s)", re.IGNORECASE)
_NO_WORD = re.compile(r"[\W_]+")


def other_spellings(text: str) -> list[str]:
    """Return other spellings of each code: joined if it is written in several words, split if in one."""
    return list(dict.fromkeys((*_join_codes(text), *_split(text))))


def _join_codes(text: str) -> Iterator[str]:
    for code in _TOGETHER.findall(text):
        if any(character.isdigit() for character in code):
            yield _NO_WORD.sub("", code)


def _split(text: str) -> Iterator[str]:
    """A single letter in front, as in I9 or p53, would leave nothing but a number."""
    for word in _MIXED.findall(text):
        runs = _RUN.findall(word)
        if 1 < len(runs) <= 4 and not _ORDINAL.fullmatch(word) and (len(runs[0]) > 1 or runs[0].isdigit()):
            yield from (run for run in runs if len(run) > 1 or len(runs) > 2)
