"""Splits streamed Markdown into sentences, list items, headings, tables and code blocks.

The units do not depend on how the text is cut into pieces: an end is only decided when no further text can
change it. Each character is looked at a bounded number of times: a unit is cut after MAX_SENTENCE or
MAX_BLOCK characters, so that any text takes linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from retrieval.answering.text.citation_markers import MARKER, UNFINISHED_MARKER
from retrieval.answering.text.lexicon import (
    ABBREVIATIONS,
    ENDING_ABBREVIATIONS,
    MONTHS,
    NUMBER_ABBREVIATIONS,
    STOPWORDS,
    WEEKDAYS,
)

MAX_SENTENCE = 1200
MAX_BLOCK = 6000

_PREFIX = re.compile(r"(?:>[ \t]?){0,6}(?:[-*+•‣◦][ \t]{1,8}|\(?\d{1,3}[.)][ \t]{1,8}|#{1,6}[ \t]{1,8})?")
_LONGEST_PREFIX = 32  # no prefix or kind needs more characters to be recognised
_BLANK = re.compile(r"\s*")
FULL_STOPS = "。！？｡．।॥؟۔።։။។"  # noqa: RUF001
"""Stops that always end a sentence: their scripts have no capitals, and some no spaces."""
_STOP = re.compile(rf"[.!?…\n{FULL_STOPS}]")
_RUN = re.compile(rf"[.!?…{FULL_STOPS}]+[\"'”“’‘»«›‹)*_」』）》〉]*")  # noqa: RUF001
_FENCE = re.compile(r"`{3,}|~{3,}")
_LAST_WORD = re.compile(r"[\w.&-]+\Z")
_NEXT_WORD = re.compile(r"[^\W\d_]{1,20}")
_DOTTED = re.compile(r"(?:[a-z]{1,2}\.)+[a-z]{1,2}")
_HALVES = frozenset({"a.m", "p.m"})
_ZONES = frozenset({"eastern", "central", "mountain", "pacific"})
STARTERS = STOPWORDS["en"] | STOPWORDS["de"]


class Kind(StrEnum):
    SENTENCE = "sentence"
    HEADING = "heading"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Unit:
    """`lead` is the white space before it; `prefix` its bullet, number, quote or heading marks."""

    lead: str
    prefix: str
    body: str
    kind: Kind
    start: int = 0  # of the body, in the whole text

    @property
    def end(self) -> int:
        return self.start + len(self.body)


class SentenceStream:
    def __init__(self) -> None:
        self._text = ""
        self._base = 0  # where _text starts in the whole text
        self._at = 0  # where the next unit starts in _text
        self._scan = 0  # how much of that unit contains no end
        self._blanks = ""  # before it, shortened

    def feed(self, piece: str) -> list[Unit]:
        self._text = self._text[self._at :] + piece
        self._base += self._at
        self._at = 0
        return list(self._units(complete=False))

    def close(self) -> list[Unit]:
        return list(self._units(complete=True))

    @property
    def pending(self) -> str:
        return self._text[self._at :]

    def _units(self, *, complete: bool) -> Iterator[Unit]:
        while True:
            self._skip_blanks()
            if self._at >= len(self._text):
                return
            kind = _kind(self._text[self._at : self._at + _LONGEST_PREFIX])
            most = MAX_BLOCK if kind in (Kind.TABLE, Kind.CODE) else MAX_SENTENCE
            window = self._text[self._at : self._at + most]
            whole = complete or len(window) == most
            if not (whole or len(window) >= _LONGEST_PREFIX or "\n" in window):
                return
            end, self._scan = _end(window, kind, self._scan, whole=whole)
            if end is None:
                return
            unit = self._take(window[:end], kind)
            if unit.body:
                yield unit

    def _skip_blanks(self) -> None:
        if self._scan:
            return
        match = _BLANK.match(self._text, self._at)
        blanks = match.group() if match else ""
        self._at += len(blanks)
        self._blanks = _shorten(self._blanks + blanks)

    def _take(self, raw: str, kind: Kind) -> Unit:
        match = _PREFIX.match(raw) if kind in (Kind.SENTENCE, Kind.HEADING) else None
        prefix = match.group() if match else ""
        body = raw[len(prefix) :].rstrip()
        unit = Unit(_lead(self._blanks), prefix, body, kind, self._base + self._at + len(prefix))
        self._at += len(raw)
        self._scan = 0
        self._blanks = ""
        return unit


def split_sentences(text: str) -> list[Unit]:
    stream = SentenceStream()
    return stream.feed(text) + stream.close()


def _shorten(blanks: str) -> str:
    """Return the part of the white space that `_lead` needs."""
    newlines = min(2, blanks.count("\n"))
    return "\n" * newlines + blanks.rpartition("\n")[2][:8]


def _lead(blanks: str) -> str:
    return blanks if "\n" in blanks else " " if blanks else ""


def _kind(text: str) -> Kind:
    if text.startswith(("```", "~~~")):
        return Kind.CODE
    if text.startswith("|"):
        return Kind.TABLE
    return Kind.HEADING if re.match(r"#{1,6}[ \t]", text) else Kind.SENTENCE


def _end(text: str, kind: Kind, scan: int, *, whole: bool) -> tuple[int | None, int]:
    """Return the length of the unit that `text` begins with (None: needs more text), and where to resume
    scanning.

    `whole`: nothing that follows matters.
    """
    if kind is Kind.CODE:
        return _code_end(text, scan, whole=whole)
    if kind is Kind.TABLE:
        return _table_end(text, scan, whole=whole)
    return _sentence_end(text, scan, whole=whole, heading=kind is Kind.HEADING)


def _code_end(text: str, scan: int, *, whole: bool) -> tuple[int | None, int]:
    """End after a line that is only a fence like the opening one, at least as long."""
    opening = _FENCE.match(text)
    fence = opening.group() if opening else text[:3]
    at = text.find("\n", scan)
    while at >= 0:
        line_end = text.find("\n", at + 1)
        if line_end < 0 and not whole:
            return None, at
        line = text[at + 1 : line_end if line_end >= 0 else len(text)].strip()
        if line.startswith(fence) and not line.strip(fence[0]):
            return (line_end if line_end >= 0 else len(text)), 0
        at = line_end
    return (len(text) if whole else None), len(text)


def _table_end(text: str, scan: int, *, whole: bool) -> tuple[int | None, int]:
    """End before a line that does not begin with a bar."""
    at = text.find("\n", scan)
    while at >= 0:
        following = text[at + 1 :].lstrip(" \t")[:1]
        if not following and not whole:
            return None, at
        if following != "|":
            return at, 0
        at = text.find("\n", at + 1)
    return (len(text) if whole else None), len(text)


def _sentence_end(text: str, scan: int, *, whole: bool, heading: bool) -> tuple[int | None, int]:
    prefix = _PREFIX.match(text)
    scan = max(scan, prefix.end() if prefix else 0)
    while match := _STOP.search(text, scan):
        end = _boundary(text, match.start(), whole=whole, heading=heading)
        if end is None:
            return None, match.start()
        if end:
            return end, 0
        scan = match.end()
    if not whole:
        return None, len(text)
    if len(text) < MAX_SENTENCE:
        return len(text), 0
    space = text.rfind(" ", 1)
    return (space if space > 0 else len(text)), 0


def _boundary(text: str, at: int, *, whole: bool, heading: bool) -> int | None:
    """Return where the unit ends if the stop at `at` ends it, 0 if it does not, None if that needs more
    text."""
    if text[at] == "\n":
        return _line_boundary(text, at, whole=whole, heading=heading)
    if heading:
        return 0
    run = _RUN.match(text, at)
    end = run.end() if run else at + 1
    if end == len(text):
        return end if whole else None
    after = _after_markers(text, end, whole=whole)
    if after is None or after > end:
        return after
    if run and not set(FULL_STOPS).isdisjoint(run.group()):
        return end
    return _full_stop(text, at, end, whole=whole)


def _line_boundary(text: str, at: int, *, whole: bool, heading: bool) -> int | None:
    """A line break ends the unit, unless the next line continues in lower case."""
    following = text[at + 1 : at + 2]
    if not following:
        return at if whole else None
    goes_on = following.islower() and not heading and text[at - 1 : at] != ":"
    return 0 if goes_on else at


def _after_markers(text: str, end: int, *, whole: bool) -> int | None:
    """Return the position after the markers that follow a full stop; they belong to the sentence before."""
    at = end
    while True:
        start = at
        while text[start : start + 1] in (" ", "\t") and start < len(text):
            start += 1
        if not whole and (start >= len(text) or UNFINISHED_MARKER.match(text, start)):
            return None
        match = MARKER.match(text, start)
        if not match:
            return at
        at = match.end()


def _full_stop(text: str, at: int, end: int, *, whole: bool) -> int | None:
    if not text[end].isspace():
        return 0
    blank = _BLANK.match(text, end)
    start = blank.end() if blank else end
    if text.count("\n", end, start) > 1:
        return end
    if start == len(text):
        return end if whole else None
    if text[start].islower():
        return 0
    if text[at] != "." or "\n" in text[end:start]:
        return end
    word = _NEXT_WORD.match(text, start)
    after = word.end() if word else start + 1
    if not whole and after >= len(text) and after - start <= 20:
        return None
    return 0 if _sentence_continues(text[max(0, at - 14) : at], text[start : after + 1]) else end


def _sentence_continues(before: str, following: str) -> bool:
    """Return whether the full stop belongs to an abbreviation, an initial or a German ordinal."""
    match = _LAST_WORD.search(before)
    word = match.group().casefold() if match else ""
    next_match = _NEXT_WORD.match(following)
    next_word = next_match.group().casefold() if next_match else ""
    if word in NUMBER_ABBREVIATIONS:
        return following[0].isdigit()
    if word in ABBREVIATIONS:
        return True
    if word in _HALVES:
        return next_word in WEEKDAYS or next_word in _ZONES or following[:2].isupper()
    if len(word) == 1 and word.isalpha():
        spaced = following[1:2] == "." and following[0].isalpha()  # as in "z. B."
        return spaced or (before[-1].isupper() and next_word not in STARTERS)
    if word in ENDING_ABBREVIATIONS or _DOTTED.fullmatch(word):
        return next_word not in STARTERS
    return word.isdigit() and len(word) < 3 and next_word in MONTHS
