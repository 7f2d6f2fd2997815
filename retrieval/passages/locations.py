"""Locates the quote of a citation in its document: page, boxes and a description."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from typing import Final
from uuid import UUID

from cairn.library.cell_ranges import CellLine, Range, merge_ranges
from cairn.library.models import DocumentVersion
from cairn.library.rendition import Element
from cairn.library.storage import rendition_load
from retrieval.types import Hit, Location

_MAX_CACHED_RENDITIONS: Final = 32
_SLIDES: Final = ("presentationml.", "ms-powerpoint")
_MOST_RANGES: Final = 3


@lru_cache(maxsize=_MAX_CACHED_RENDITIONS)
def _elements(version: UUID) -> tuple[Element, ...]:
    """Load a version's elements. Renditions never change once the version is searchable, so they can be
    cached."""
    return rendition_load(
        DocumentVersion.objects.values_list("rendition", flat=True).get(pk=version)
    ).elements


def locate_quote(hit: Hit, quote: str) -> Location:
    """Return the page with most of the quote, and the boxes of the elements that overlap it."""
    if hit.page is None:
        return Location(location=location_of(hit.media_type, None, _find_quoted_cells(hit, quote)))
    elements = _elements(hit.version)
    around = [elements[index] for index in hit.elements if index < len(elements)]
    quoted = Counter[int | None]()
    for element in around:
        quoted[element.page] += _overlap(element.text, quote)
    page = quoted.most_common(1)[0][0] if quoted.total() else hit.page
    lit = [
        item for item in around if item.page == page and (_overlap(item.text, quote) or not quoted.total())
    ]
    boxes = tuple(box for element in lit for box in element.boxes)
    return Location(page, boxes, location_of(hit.media_type, page, ()))


def _overlap(text: str, quote: str) -> int:
    """Return the shared characters, if one text contains the other."""
    text, quote = " ".join(text.split()), " ".join(quote.split())
    return min(len(text), len(quote)) if text in quote or quote in text else 0


def _find_quoted_cells(hit: Hit, quote: str) -> Sequence[CellLine]:
    """Return the cells of the lines that the quote touches, or all if it is not found."""
    start = hit.text.find(quote)
    if start < 0:
        return hit.cells
    first = hit.text.count("\n", 0, start)
    return hit.cells[first : first + quote.count("\n") + 1]


def location_of(media_type: str, page: int | None, cells: Sequence[CellLine]) -> str:
    """Describe a place: `page 4`, `slide 3`, `Sheet1!A5:D7`, `rows 5-7 (A5:D7)`; empty if there is nothing to
    say.

    All words for places are chosen here.
    """
    if ranges := _ranges(cells):
        areas = ", ".join([str(ranges[0]), *(str(replace(one, sheet="")) for one in ranges[1:])])
        return areas if ranges[0].sheet else f"{_rows(ranges)} ({areas})"
    if page is None:
        return ""
    return f"slide {page}" if any(name in media_type for name in _SLIDES) else f"page {page}"


def _ranges(cells: Sequence[CellLine]) -> list[Range]:
    """Return as few ranges as possible. Headers count only if there is nothing else."""
    given = [line for line in cells if line.cells]
    body = [line for line in given if not line.is_header]
    ranges = list(merge_ranges([Range.parse(line.cells) for line in body or given]))
    return ranges if len(ranges) <= _MOST_RANGES else [reduce(Range.join, ranges)]


def _rows(ranges: Sequence[Range]) -> str:
    runs = [(one.first_row + 1, one.last_row + 1) for one in ranges]
    several = len(runs) > 1 or runs[0][0] < runs[0][1]
    numbers = ", ".join(f"{first}-{last}" if first < last else str(first) for first, last in runs)
    return f"{'rows' if several else 'row'} {numbers}"
