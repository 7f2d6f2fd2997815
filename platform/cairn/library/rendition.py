"""Rendition: the list of elements that a parser read from a file, in reading order."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from cairn.library.links import Link, links_from_json
from cairn.messages import from_json, to_json

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the page, origin at its top left corner."""


@dataclass(frozen=True, slots=True)
class Element:
    """`category` is unstructured's: Title, NarrativeText, ListItem, Table, CodeSnippet, ...

    A table's `text` has a line per row, cells joined by " | "; `header_rows` says how many of those
    lines are its header. `section` is the path of headings above, outermost first. `page` counts
    from 1; in a presentation it is the slide. `cells` are the A1 ranges of the text's lines, one for
    each, in the sheet named `sheet`; empty where there is no spreadsheet. `links` are in `text`.
    """

    index: int
    category: str
    text: str
    section: tuple[str, ...] = ()
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    header_rows: int = 0
    sheet: str | None = None
    cells: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


_OPTIONAL: Final = ("section", "page", "boxes", "header_rows", "sheet", "cells", "links")
_TUPLES: Final[dict[str, Callable[[Any], Any]]] = {
    "section": tuple,
    "boxes": lambda boxes: tuple(map(tuple, boxes)),
    "cells": tuple,
    "links": links_from_json,
}


@dataclass(frozen=True, slots=True)
class Report:
    """`ocr_confidence` is the mean over the words that were read by OCR, 0 to 1.

    `suspicious` lists passages that read like instructions to a language model.
    """

    pages_without_text: tuple[int, ...] = ()
    ocr_pages: tuple[int, ...] = ()
    ocr_confidence: float | None = None
    tables: int = 0
    truncated: bool = False
    warnings: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        encoded: dict[str, Any] = to_json(asdict(self))
        return encoded


@dataclass(frozen=True, slots=True)
class Rendition:
    """`pages` is None for a format without pages; `title` is the document's own, if it names one.

    `properties` are what the file says of itself, such as a mail's `from`, `to`, `date`, `subject`.
    """

    elements: tuple[Element, ...]
    title: str | None = None
    pages: int | None = None
    language: str | None = None
    report: Report = field(default_factory=Report)
    properties: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Elements without what they leave at its default: most of it is."""
        return {
            "elements": [_element_json(element) for element in self.elements],
            "title": self.title,
            "pages": self.pages,
            "language": self.language,
            "report": self.report.as_json(),
            "properties": self.properties,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Rendition":
        return cls(
            elements=tuple(_element(item) for item in data["elements"]),
            title=data["title"],
            pages=data["pages"],
            language=data["language"],
            report=Report(**{name: _freeze_list(from_json(value)) for name, value in data["report"].items()}),
            properties=data.get("properties", {}),
        )


def _element_json(element: Element) -> dict[str, Any]:
    """`asdict` would copy every box; there are tens of thousands."""
    data: dict[str, Any] = {"index": element.index, "category": element.category, "text": element.text}
    data.update((name, value) for name in _OPTIONAL if (value := getattr(element, name)))
    return data


def _element(item: dict[str, Any]) -> Element:
    return Element(
        **{name: _TUPLES[name](value) if name in _TUPLES else value for name, value in item.items()}
    )


def _freeze_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
