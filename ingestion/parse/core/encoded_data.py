"""Removes text that is not language: encoded images and keys, hex dumps and minified code.

It can neither be read nor asked about, but would become thousands of passages. What people write has words,
in any script: only long sequences of ASCII without any are removed, so lists of links, numbers, chemical
names or checksums with their file names stay.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from cairn.library.links import Link
from cairn.library.rendition import Element, Rendition
from cairn.messages import CodedMessage
from ingestion.parse.core import failures
from ingestion.parse.core.rendition_builder import TABLE, TITLE

MIN_BLOCK: Final = 500  # characters, about as many as in a passage; a single key or checksum is shorter
MIN_TOKEN: Final = 40
MIN_ALPHANUMERIC: Final = 0.85  # of an encoded token: not a ruler, a link or a chemical formula
MAX_WORDS: Final = 0.2  # of an encoded token; random letters reach 0.1
MIN_HEX_LETTERS: Final = 0.2  # of the groups of a hex dump that have a letter: a table of numbers has none
MAX_MINIFIED_SPACES: Final = 0.05  # of a line of code; readable code and text have over 0.1
MIN_MINIFIED_BRACES: Final = 0.012  # of the characters, and of semicolons
MAX_JSON_NAMES: Final = 0.015  # of the characters: a line of JSON is data
_ELLIPSIS: Final = "…"

_TOKEN: Final = re.compile(rf"(?<![^\s,;|:])(?<!:(?=//))[^\s,;|:]{{{MIN_TOKEN},}}", re.ASCII)
_WORD: Final = re.compile(r"[a-z]{5,}|[A-Z]{5,}|[A-Z][a-z]{4,}")
_DIFFERENT_LETTERS: Final = 3  # in a word, unlike in AAAAAA
_DECIMAL: Final = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")
_ALPHANUMERIC: Final = re.compile(r"[A-Za-z0-9]")
_BETWEEN: Final = re.compile(r"\W*")
_LAST_LINE: Final = re.compile(r"[ \t]*\n[ \t]*(?=\S*[\d+/=])[A-Za-z0-9+/=]+[ \t]*(?=\n|$)")
_HEX: Final = r"[0-9A-Fa-f]"
_DUMP_LINE: Final = re.compile(
    rf"^[ \t]*(?:{_HEX}{{4,16}}:?[ \t]+)?((?:{_HEX}{{2}}|{_HEX}{{4}}|{_HEX}{{8}})"
    rf"(?:[ \t]+(?:{_HEX}{{2}}|{_HEX}{{4}}|{_HEX}{{8}})){{3,}})(?=\s|$).*$",
    re.MULTILINE,
)
_HEX_LETTER: Final = re.compile(r"[A-Fa-f]")
_LONG_LINE: Final = re.compile(rf"^.{{{MIN_BLOCK},}}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of the text of the element at `place`. `is_token`: encoded only if it has no words, together
    with the tokens around it: single lines of random letters can have some."""

    place: int
    start: int
    end: int
    is_token: bool


def drop_encoded_data(rendition: Rendition) -> Rendition:
    """Return the rendition without encoded data, and with a warning. Raises DocumentRejected(NO_TEXT) if
    nothing else is left."""
    spans = [span for block in _blocks(rendition.elements) for span in block]
    if not spans:
        return rendition
    by_place: dict[int, list[_Span]] = {}
    for span in spans:
        by_place.setdefault(span.place, []).append(span)
    remaining = [
        rest
        for place, element in enumerate(rendition.elements)
        if (rest := _remove_spans(element, by_place.get(place, ())))
    ]
    if all(element.category == TITLE for element in remaining):
        raise failures.no_text(CodedMessage("no_language"))
    warning = CodedMessage("encoded_data", count=sum(span.end - span.start for span in spans))
    report = replace(rendition.report, warnings=(*rendition.report.warnings, warning))
    elements = tuple(replace(element, index=index) for index, element in enumerate(remaining))
    return replace(rendition, elements=elements, report=report)


def _remove_spans(element: Element, spans: Sequence[_Span]) -> Element | None:
    """Return the element with an ellipsis in place of each span; None if no word is left."""
    if not spans:
        return element
    parts, end = list[str](), 0
    for span in spans:
        parts += [element.text[end : span.start], _ELLIPSIS]
        end = span.end
    text = "".join((*parts, element.text[end:]))
    if not any(map(str.isalpha, text)):
        return None
    return replace(element, text=text, links=tuple(_moved_links(element.links, spans)))


def _moved_links(links: Sequence[Link], spans: Sequence[_Span]) -> Iterator[Link]:
    """Yield the links in the remaining text, at their new positions."""
    for link in links:
        if all(link.end <= span.start or span.end <= link.start for span in spans):
            shift = sum(span.end - span.start - len(_ELLIPSIS) for span in spans if span.end <= link.start)
            yield link._replace(start=link.start - shift, end=link.end - shift)


def _blocks(elements: Sequence[Element]) -> Iterator[list[_Span]]:
    """Yield sequences of spans that are encoded data, with one span for each element. Those of tables are
    each within a line."""
    block: list[_Span] = []
    for span in _spans(elements):
        if block and not _adjoins(block[-1], span, elements):
            yield from _yield_encoded(block, elements)
            block = []
        block.append(span)
    yield from _yield_encoded(block, elements)


def _yield_encoded(block: list[_Span], elements: Sequence[Element]) -> Iterator[list[_Span]]:
    """Yield the block if it is long enough and has letters but no words."""
    if sum(span.end - span.start for span in block) < MIN_BLOCK:
        return
    tokens = [elements[span.place].text[span.start : span.end] for span in block if span.is_token]
    if len(tokens) == len(block) and all(map(str.isdigit, tokens)):
        return  # a long number
    if _word_letters(tokens) <= MAX_WORDS * sum(map(len, tokens)):
        last, element = block[-1], elements[block[-1].place]
        if tokens and element.category != TABLE and (rest := _LAST_LINE.match(element.text, last.end)):
            block[-1] = replace(last, end=rest.end())
        parts = (list(part) for _, part in groupby(block, key=lambda span: span.place))
        yield [replace(part[0], end=part[-1].end) for part in parts]


def _word_letters(tokens: Iterable[str]) -> int:
    words = (word for token in tokens for word in _WORD.findall(token))
    return sum(len(word) for word in words if len(set(word)) >= _DIFFERENT_LETTERS)


def _adjoins(before: _Span, after: _Span, elements: Sequence[Element]) -> bool:
    if TABLE in {elements[before.place].category, elements[after.place].category}:
        return False
    text = elements[before.place].text
    if before.place == after.place:
        return _BETWEEN.fullmatch(text, before.end, after.start) is not None
    return (
        after.place == before.place + 1
        and _BETWEEN.fullmatch(text, before.end) is not None
        and _BETWEEN.fullmatch(elements[after.place].text, 0, after.start) is not None
    )


def _spans(elements: Sequence[Element]) -> Iterator[_Span]:
    for place, element in enumerate(elements):
        if len(element.text) >= MIN_TOKEN and element.category != TITLE:
            for start, end, is_token in _merge(_find(element.text)):
                yield _Span(place, start, end, is_token)


def _find(text: str) -> Iterator[tuple[int, int, bool]]:
    for found in _TOKEN.finditer(text):
        if _may_be_encoded(found[0]):
            yield (*found.span(), True)
    for found in _LONG_LINE.finditer(text):
        if _is_minified(found[0]):
            yield (*found.span(), False)
    dump = [(found.span(), found[1].split()) for found in _DUMP_LINE.finditer(text)]
    groups = [group for _, line in dump for group in line]
    if sum(map(bool, map(_HEX_LETTER.search, groups))) >= MIN_HEX_LETTERS * len(groups):
        yield from ((*span, False) for span, _ in dump)


def _merge(spans: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Yield the spans in order, without those inside others."""
    end = -1
    for span in sorted(spans, key=lambda each: (each[0], -each[1])):
        if span[0] >= end:
            yield span
            end = span[1]


def _may_be_encoded(token: str) -> bool:
    if not token.isascii() or _DECIMAL.fullmatch(token):
        return False
    return len(_ALPHANUMERIC.findall(token)) >= MIN_ALPHANUMERIC * len(token)


def _is_minified(line: str) -> bool:
    size = len(line)
    braces = sum(map(line.count, "{};"))
    return (
        line.count(" ") < MAX_MINIFIED_SPACES * size
        and braces >= MIN_MINIFIED_BRACES * size
        and line.count('":') < MAX_JSON_NAMES * size
    )
