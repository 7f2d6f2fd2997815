"""Builder for renditions."""

from collections.abc import Mapping, Sequence
from typing import Final

from cairn.library.rendition import Box, Element, Rendition, Report
from ingestion.parse.core import failures
from ingestion.parse.core.anchors import Anchor, locate_anchors
from ingestion.parse.core.limits import Limits
from ingestion.parse.text.cleaning import clean

TITLE: Final = "Title"
TEXT: Final = "UncategorizedText"
LIST_ITEM: Final = "ListItem"
TABLE: Final = "Table"
CODE: Final = "CodeSnippet"

_LONGEST_HEADING: Final = 300
_LONGEST_TITLE: Final = 200
_ENDS: Final = ("\n", ". ", "! ", "? ")
_MAX_LINKS: Final = 5_000


class RenditionBuilder:
    """Elements in reading order. A heading opens the section of the elements that follow it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._elements: list[Element] = []
        self._headings: list[tuple[int, str]] = []
        self._characters = 0
        self._pieces = 0
        self._links = 0

    def heading(
        self,
        level: int,
        text: str,
        *,
        page: int | None = None,
        boxes: Sequence[Box] = (),
        anchors: Sequence[Anchor] = (),
    ) -> None:
        """Add a heading, which ends all sections at its level and below. `level` 0 is the outermost."""
        line = " ".join(clean(text).split())
        if not line:
            return
        self.close(level)
        self.add(TITLE, line, page=page, boxes=boxes, anchors=anchors)
        self._headings.append((level, line[:_LONGEST_HEADING]))

    def close(self, level: int) -> None:
        """End all sections at `level` and below."""
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()

    def add(
        self,
        category: str,
        text: str,
        *,
        page: int | None = None,
        boxes: Sequence[Box] = (),
        header_rows: int = 0,
        sheet: str | None = None,
        cells: Sequence[str] = (),
        anchors: Sequence[Anchor] = (),
    ) -> None:
        """Add an element. `anchors` are the links in it; a document keeps only the first few thousand."""
        if not (cleaned := clean(text).strip("\n").rstrip()).strip():
            return
        self.admit(len(cleaned))
        self._characters += len(cleaned)
        self._pieces += 1 + sum(map(cleaned.count, _ENDS))
        if self._pieces > self._limits.pieces:
            raise failures.too_many_pieces(self._limits.pieces)
        section = tuple(line for _, line in self._headings)
        links = locate_anchors(cleaned, anchors)[: _MAX_LINKS - self._links]
        self._links += len(links)
        self._elements.append(
            Element(
                len(self._elements), category, cleaned, section, page, tuple(boxes), header_rows, sheet,
                tuple(cells), links,
            )
        )  # fmt: skip

    @property
    def is_empty(self) -> bool:
        """Return whether there is no text. Headings alone, such as sheet names, do not count."""
        return all(element.category == TITLE for element in self._elements)

    def admit(self, characters: int) -> None:
        """Raise DocumentRejected(TOO_LARGE) if this many more elements would exceed the limit."""
        if characters > self.room:
            raise failures.too_large(self._limits.characters)

    @property
    def room(self) -> int:
        """Number of characters that may still be added."""
        return self._limits.characters - self._characters

    @property
    def first_heading(self) -> str | None:
        return next((element.text for element in self._elements if element.category == TITLE), None)

    def build(
        self,
        *,
        title: str | None = None,
        pages: int | None = None,
        report: Report | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Rendition:
        """Return the rendition. Raises DocumentRejected(NO_TEXT) if it would be empty."""
        if not self._elements:
            raise failures.no_text()
        name = " ".join(clean(title or "").split())[:_LONGEST_TITLE]
        found = report or Report(tables=self.tables)
        return Rendition(
            tuple(self._elements), name or None, pages, report=found, properties=dict(properties or {})
        )

    @property
    def tables(self) -> int:
        return sum(element.category == TABLE for element in self._elements)
