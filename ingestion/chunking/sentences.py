"""Split points of texts: between sentences, or between words."""

import re
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]

# each run of marks is checked once: a file of nothing else would block the whole process
_END: Final = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|[。！？]++|\n++")
_LAST_WORD: Final = 20
_ABBREVIATIONS: Final = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "dept", "inc", "ltd", "co", "corp"),
        *("vs", "etc", "e.g", "i.e", "cf", "al", "approx", "ca", "est", "z.b", "d.h", "bzw"),
        *("fig", "figs", "no", "nos", "vol", "p", "pp", "sec", "art", "ch"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        *("u.s", "u.k", "u.s.c", "a.m", "p.m", "ph.d"),
    )
)


def sentences(text: str) -> Iterator[Span]:
    """Yield spans of sentences in order, without surrounding white space."""
    start = 0
    for end in _ends(text):
        yield from _trim_span(text, start, end)
        start = end
    yield from _trim_span(text, start, len(text))


def lines(text: str) -> Iterator[Span]:
    start = 0
    for line in text.split("\n"):
        yield from _trim_span(text, start, start + len(line))
        start += len(line) + 1


def pieces(text: str, span: Span, size: int) -> Iterator[Span]:
    """Split `span` into at most `size` characters each, between words if possible."""
    start, end = span
    while end - start > size:
        cut = _space_before(text, start, start + size)
        yield from _trim_span(text, start, cut)
        start = cut
    yield from _trim_span(text, start, end)


def _ends(text: str) -> Iterator[int]:
    for found in _END.finditer(text):
        if found.group()[0] in "\n。！？" or _ends_sentence(text, found.start(), found.end()):
            yield found.end()


def _ends_sentence(text: str, mark: int, end: int) -> bool:
    following = text[end : end + 40].lstrip()
    if following and following[0].islower():
        return False
    if text[mark] != ".":
        return True
    before = text[max(0, mark - _LAST_WORD) : mark].split()
    word = before[-1].strip("([\"'\u201c\u2018").lower() if before else ""
    return not (word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()))


def _space_before(text: str, start: int, end: int) -> int:
    cut = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
    return cut if cut > start + (end - start) // 2 else end


def _trim_span(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        yield start, end
