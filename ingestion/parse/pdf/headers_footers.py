"""Removal of running headers and footers, which repeat at the same place on most pages."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ingestion.parse.pdf.lines import Line, Page

_FEWEST_PAGES: Final = 4
_OUTERMOST: Final = 2
_DIGITS: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(r"(?:^|\s)\d{1,4}$|^\d{1,4}(?:\s|$)")


def without_furniture(pages: Sequence[Page]) -> list[Page]:
    if len(pages) < _FEWEST_PAGES:
        return list(pages)
    seen = Counter(
        key for page in pages for key in {key for line in _outer(page) for key in _keys(line, page)}
    )
    repeated = {key for key, count in seen.items() if count > len(pages) / 2}
    return [replace(page, lines=tuple(_content_lines(page, repeated))) for page in pages]


def _content_lines(page: Page, repeated: set[str]) -> Iterator[Line]:
    outer = set(map(id, _outer(page)))
    for line in page.lines:
        if id(line) not in outer or repeated.isdisjoint(_keys(line, page)):
            yield line


def _outer(page: Page) -> list[Line]:
    ordered = sorted(page.lines, key=lambda line: line.box[1])
    return ordered[:_OUTERMOST] + ordered[_OUTERMOST:][-_OUTERMOST:]


def _keys(line: Line, page: Page) -> Iterator[str]:
    """Return keys of a line: its words without numbers; or its place, for page numbers beside other words."""
    text = line.text
    yield _DIGITS.sub("#", text)
    if _PAGE_NUMBER.search(text):
        yield f"number at {line.box[1] / page.height:.2f}"
