"""Presentations: each slide is a page, its title a heading, its speaker notes a section of it.

Hidden slides are read, since everyone who opens the file sees them among the others.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pptx import Presentation
from pptx.exc import PythonPptxError
from pptx.slide import Slide

from cairn.library.rendition import Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.archives import zip_guard
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import TEXT, RenditionBuilder
from ingestion.parse.core.report_notes import build_count_note
from ingestion.parse.office.damage import DAMAGE
from ingestion.parse.office.slide_shapes import Piece, ShapeReader, lines_of, one_line, settle

_KIND: Final = "presentation"
_NOTES: Final = "Notes"
_UNTITLED: Final = "Slide {}"
_NO_TITLES: Final = ("powerpoint presentation", "presentation", "powerpoint-präsentation")
_FEWEST_SLIDES: Final = 4
_DAMAGE: Final = (PythonPptxError, NotImplementedError, *DAMAGE)


@dataclass(frozen=True, slots=True)
class _Read:
    """A slide, numbered from 1."""

    number: int
    title: str
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...]
    hidden: bool


def parse(path: Path, limits: Limits) -> Rendition:
    zip_guard.check(path, _KIND)
    reader = ShapeReader()
    try:
        presentation = Presentation(str(path))
        title = presentation.core_properties.title
        count = len(presentation.slides)
        if count > limits.pages:
            raise failures.too_many_pages(count, limits.pages)
        slides = [_read(number, slide, reader) for number, slide in enumerate(presentation.slides, 1)]
    except _DAMAGE as error:
        raise failures.damaged(_KIND) from error
    builder = RenditionBuilder(limits)
    furniture = _furniture(slides)
    for slide in slides:
        _write(slide, furniture, builder)
    return builder.build(
        title=_own_title(title) or builder.first_heading,
        pages=count,
        report=_report(slides, reader, builder.tables),
    )


def _read(number: int, slide: Slide, reader: ShapeReader) -> _Read:
    settle(slide._element)
    title = slide.shapes.title
    pieces = tuple(piece for piece in reader.pieces(slide.shapes, title=title) if piece.text)
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    return _Read(
        number,
        one_line(title.text_frame.text) if title is not None else "",
        pieces,
        tuple(lines_of(notes)) if notes is not None else (),
        slide._element.get("show") in ("0", "false"),
    )


def _furniture(slides: Sequence[_Read]) -> set[tuple[str, tuple[int, int]]]:
    """Return texts at the same position on most slides."""
    if len(slides) < _FEWEST_SLIDES:
        return set()
    seen = Counter(
        key for slide in slides for key in {(piece.text, piece.spot) for piece in slide.pieces if piece.spot}
    )
    return {(text, spot) for (text, spot), count in seen.items() if spot and count > len(slides) / 2}


def _write(slide: _Read, furniture: set[tuple[str, tuple[int, int]]], builder: RenditionBuilder) -> None:
    pieces = [piece for piece in slide.pieces if (piece.text, piece.spot) not in furniture]
    if not (slide.title or pieces or slide.notes):
        return
    builder.heading(0, slide.title or _UNTITLED.format(slide.number), page=slide.number)
    for piece in pieces:
        builder.add(piece.category, piece.text, page=slide.number, header_rows=piece.header_rows)
    if slide.notes:
        builder.heading(1, _NOTES, page=slide.number)
    for line in slide.notes:
        builder.add(TEXT, line, page=slide.number)


def _own_title(title: str) -> str:
    """Return the title, unless the program generated it."""
    own = one_line(title)
    return "" if own.lower() in _NO_TITLES else own


def _report(slides: Sequence[_Read], reader: ShapeReader, tables: int) -> Report:
    empty = tuple(slide.number for slide in slides if not (slide.title or slide.pieces or slide.notes))
    return Report(pages_without_text=empty, tables=tables, warnings=tuple(_warnings(slides, reader)))


def _warnings(slides: Sequence[_Read], reader: ShapeReader) -> Iterator[str]:
    if hidden := [str(slide.number) for slide in slides if slide.hidden]:
        yield CodedMessage("hidden_slides", names=", ".join(hidden))
    yield from build_count_note("skipped_images", reader.pictures)
    yield from build_count_note("skipped_objects", reader.objects)
