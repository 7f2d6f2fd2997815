"""Cuts Markdown into sentences, list items, headings, tables and code blocks, while it is being written.

Each character is looked at a bounded number of times: a unit is cut by force after MAX_SENTENCE or
MAX_BLOCK characters, so that no text, however made, takes more than linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from retrieval.answering.lexicon import ABBREVIATIONS, MONTHS, NUMBER_ABBREVIATIONS, STOPWORDS
from retrieval.answering.markers import MARKER, UNFINISHED

MAX_SENTENCE = 1200
MAX_BLOCK = 6000

_PREFIX = re.compile(r"(?:>[ \t]?){0,6}(?:[-*+•‣◦][ \t]+|\(?\d{1,3}[.)][ \t]+|#{1,6}[ \t]+)?")
_BLANK = re.compile(r"\s*")
_STOP = re.compile(r"[.!?…。！？\n]")
_RUN = re.compile(r"[.!?…。！？]+[\"'”’»)*_]*")
_CODE_END = re.compile(r"\n[ \t]*(?:```|~~~)[^\n]*")
_TABLE_END = re.compile(r"\n(?![ \t]*\|)")
_LAST_WORD = re.compile(r"[\w.&-]+\Z")
_NEXT_WORD = re.compile(r"[^\W\d_]+")
_DOTTED = re.compile(r"(?:[a-z]\.)+[a-z]")
_CLOSING_CJK = "。！？"
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
        self._scan = 0  # what lies before it holds no boundary
        self._newlines = 0

    def feed(self, piece: str) -> list[Unit]:
        self._text = self._text[self._at :] + piece
        self._base += self._at
        self._scan -= self._at
        self._at = 0
        return list(self._units(final=False))

    def close(self) -> list[Unit]:
        return list(self._units(final=True))

    @property
    def pending(self) -> str:
        return self._text[self._at :]

    def _units(self, *, final: bool) -> Iterator[Unit]:
        while True:
            lead = self._skip_blanks()
            if self._at >= len(self._text) or not (final or self._line_is_known()):
                return
            end = self._end(final=final)
            if end is None:
                return
            unit = self._take(lead, end)
            if unit.body:
                yield unit

    def _skip_blanks(self) -> str:
        match = _BLANK.match(self._text, self._at)
        blanks = match.group() if match else ""
        self._newlines = min(2, self._newlines + blanks.count("\n"))
        self._at += len(blanks)
        self._scan = max(self._scan, self._at)
        if not self._newlines:
            return " " if blanks else ""
        return "\n" * self._newlines + blanks.rpartition("\n")[2][:8]

    def _line_is_known(self) -> bool:
        return len(self._text) - self._at >= 8 or "\n" in self._text[self._at :]

    def _take(self, lead: str, end: int) -> Unit:
        raw = self._text[self._at : end]
        kind = _kind(raw)
        match = _PREFIX.match(raw) if kind in (Kind.SENTENCE, Kind.HEADING) else None
        prefix = match.group() if match else ""
        body = raw[len(prefix) :].rstrip()
        unit = Unit(lead, prefix, body, kind, self._base + self._at + len(prefix))
        self._at = self._scan = end
        self._newlines = 0
        return unit

    def _end(self, *, final: bool) -> int | None:
        kind = _kind(self._text[self._at : self._at + 8])
        if kind is Kind.CODE:
            return self._search(_CODE_END, final=final, at_end=True)
        if kind is Kind.TABLE:
            return self._search(_TABLE_END, final=final, at_end=False)
        return self._sentence_end(final=final)

    def _search(self, pattern: re.Pattern[str], *, final: bool, at_end: bool) -> int | None:
        """End of a block; while text comes in, its last line may still be unfinished."""
        match = pattern.search(self._text, self._scan)
        if match and (final or match.end() + 4 < len(self._text)):
            return match.end() if at_end else match.start()
        if len(self._text) - self._at > MAX_BLOCK:
            return self._at + MAX_BLOCK
        self._scan = max(self._scan, self._text.rfind("\n", self._scan))
        return len(self._text) if final else None

    def _sentence_end(self, *, final: bool) -> int | None:
        prefix = _PREFIX.match(self._text, self._at)
        self._scan = max(self._scan, prefix.end() if prefix else self._at)
        limit = self._at + MAX_SENTENCE
        while match := _STOP.search(self._text, self._scan, limit):
            end = _boundary(self._text, match.start(), final=final, heading=self._text[self._at] == "#")
            if end is None:
                return None
            if end:
                return end
            self._scan = match.end()
        if len(self._text) > limit:
            space = self._text.rfind(" ", self._at + 1, limit)
            return space if space > 0 else limit
        self._scan = len(self._text)
        return len(self._text) if final else None


def split(text: str) -> list[Unit]:
    stream = SentenceStream()
    return stream.feed(text) + stream.close()


def _kind(text: str) -> Kind:
    if text.startswith(("```", "~~~")):
        return Kind.CODE
    if text.startswith("|"):
        return Kind.TABLE
    return Kind.HEADING if re.match(r"#{1,6}[ \t]", text) else Kind.SENTENCE


def _boundary(text: str, at: int, *, final: bool, heading: bool) -> int | None:
    """Where the unit ends if a stop at `at` ends it, 0 if it does not, None if more text must tell."""
    if text[at] == "\n":
        return _line_boundary(text, at, final=final, heading=heading)
    run = _RUN.match(text, at)
    end = run.end() if run else at + 1
    after = _after_markers(text, end, final=final)
    if after is None:
        return None
    if after > end:
        return after
    if text[end - 1] in _CLOSING_CJK:
        return end
    return _full_stop(text, at, end, final=final)


def _line_boundary(text: str, at: int, *, final: bool, heading: bool) -> int | None:
    """A line break ends the unit, unless the next line goes on in lower case."""
    following = text[at + 1 : at + 2]
    if not following:
        return at if final else None
    goes_on = following.islower() and not heading and text[at - 1 : at] != ":"
    return 0 if goes_on else at


def _after_markers(text: str, end: int, *, final: bool) -> int | None:
    """Past the markers that follow a full stop; they belong to the sentence before."""
    at = end
    while True:
        start = at
        while text[start : start + 1] in (" ", "\t") and start < len(text):
            start += 1
        match = MARKER.match(text, start)
        if not match:
            break
        at = match.end()
    if not final and (start >= len(text) or UNFINISHED.match(text, start)):
        return None
    return at


def _full_stop(text: str, at: int, end: int, *, final: bool) -> int | None:
    if end >= len(text):
        return end if final else None
    if not text[end].isspace():
        return 0
    following = text[end : end + 40].lstrip()
    if not following:
        return end if final or "\n" in text[end : end + 40] else None
    if following[0].islower():
        return 0 if "\n\n" not in text[end : end + 3] else end
    if text[at] != "." or "\n" in text[end : end + 2]:
        return end
    next_word = _NEXT_WORD.match(following)
    if not final and len(following) < 16 and (next_word.end() if next_word else 1) + 1 >= len(following):
        return None
    return 0 if _keeps_going(text[max(0, at - 14) : at], following) else end


def _keeps_going(before: str, following: str) -> bool:
    """Whether the full stop belongs to an abbreviation, an initial or a German ordinal."""
    match = _LAST_WORD.search(before)
    word = match.group().casefold() if match else ""
    next_match = _NEXT_WORD.match(following)
    next_word = next_match.group().casefold() if next_match else ""
    if word in NUMBER_ABBREVIATIONS:
        return following[0].isdigit()
    spaced = following[1:2] == "." and following[0].isalpha()  # as in "z. B."
    if word in ABBREVIATIONS or (len(word) == 1 and word.isalpha() and (before[-1].isupper() or spaced)):
        return True
    if _DOTTED.fullmatch(word):
        return next_word not in STARTERS
    return word.isdigit() and len(word) < 3 and next_word in MONTHS
