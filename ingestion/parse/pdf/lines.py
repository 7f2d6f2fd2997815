"""Lines of text on a PDF page, with boxes in points from the top left of the displayed page."""

import ctypes
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from cairn.library.rendition import Box
from ingestion.parse.core.anchors import Anchor
from ingestion.parse.pdf.link_annotations import LinkAnnotation
from ingestion.parse.text.cleaning import clean

_HYPHEN: Final = "\x02"  # PDFium's sign for a hyphen that ends a line
BROKEN_WORD: Final = "\u00ad"  # ours, until the whole document shows how the word is spelt
_ROW: Final = re.compile(r"([^\r\n\x02\ufffe]+)([\r\n\x02\ufffe]?)")
_RUN: Final = re.compile(r"\S+")
_BULLET: Final = re.compile(r"[•▪●■◦‣∙·○□➢❖✓*–—-]|[\uf000-\uf0ff]")
_CURRENCY: Final = frozenset("$€£¥")
_DEVICE: Final = 1_000_000
_CELL_GAP: Final = 1.3  # of the line's height; wider than justified text
_LONGEST_NAME: Final = 128
_BOLD: Final = 700
_REGULAR: Final = 400
_TIGHT: Final = 0.1


def _strip_argtypes(function: Any) -> Callable[..., int]:
    """Return the function without ctypes argument conversion, which takes longer than these calls."""
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.cast(function, ctypes.c_void_p).value or 0)


_char_box: Final = _strip_argtypes(pdfium.FPDFText_GetLooseCharBox)
_font_weight: Final = _strip_argtypes(pdfium.FPDFText_GetFontWeight)


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `height` is that of its letters; `weight` is the font's."""

    cells: tuple[Cell, ...]
    box: Box
    height: float
    weight: int
    bullet: bool = False
    vertical: bool = False

    @property
    def text(self) -> str:
        return self.cells[0].text if len(self.cells) == 1 else " ".join(cell.text for cell in self.cells)


class _Row(NamedTuple):
    """The words between two line ends, with the first and last character index."""

    words: list[str]
    start: int
    end: int


class _Words(NamedTuple):
    """The words of a line, in columns, since a file has hundreds of thousands of words."""

    texts: list[str]
    lefts: list[float]
    tops: list[float]
    rights: list[float]
    bottoms: list[float]

    @property
    def box(self) -> Box:
        return min(self.lefts), min(self.tops), max(self.rights), max(self.bottoms)

    def cell(self, start: int, end: int) -> Cell:
        return Cell(" ".join(self.texts[start:end]), self.lefts[start], self.rights[end - 1])


class _Frame:
    """Mapping from PDF points to points of the displayed page: cropped, rotated, from the top left."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        self.width, self.height = (max(side, 1.0) for side in page.get_size())
        ox, oy = self._project_point(page, 0, 0)
        (xx, xy), (yx, yy) = self._project_point(page, 1000, 0), self._project_point(page, 0, 1000)
        self._matrix = (ox, (xx - ox) / 1000, (yx - ox) / 1000, oy, (xy - oy) / 1000, (yy - oy) / 1000)

    def _project_point(self, page: pypdfium2.PdfPage, x: float, y: float) -> tuple[float, float]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, _DEVICE, _DEVICE, 0, x, y, across, down)
        return across.value / _DEVICE * self.width, down.value / _DEVICE * self.height

    def boxes(self, corners: bytes | bytearray) -> tuple[list[float], list[float], list[float], list[float]]:
        """Return lefts, tops, rights and bottoms of the union of two FS_RECTF ranges."""
        pairs = np.frombuffer(corners, dtype=np.float32).reshape(-1, 2, 4).astype(np.float64)
        (left, _, _, bottom), (_, top, right, _) = pairs.min(axis=1).T, pairs.max(axis=1).T
        ox, xx, yx, oy, xy, yy = self._matrix
        x1, x2 = ox + left * xx + bottom * yx, ox + right * xx + top * yx
        y1, y2 = oy + left * xy + bottom * yy, oy + right * xy + top * yy
        return (
            np.minimum(x1, x2).tolist(),
            np.minimum(y1, y2).tolist(),
            np.maximum(x1, x2).tolist(),
            np.maximum(y1, y2).tolist(),
        )


@dataclass(frozen=True, slots=True)
class PageLink:
    box: Box
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Page:
    width: float
    height: float
    lines: tuple[Line, ...]
    links: tuple[PageLink, ...] = ()

    @property
    def characters(self) -> int:
        return sum(len(line.text) for line in self.lines)

    def fractions(self, box: Box) -> Box:
        left, top, right, bottom = box
        across = (_share(left, self.width), _share(right, self.width))
        down = (_share(top, self.height), _share(bottom, self.height))
        return across[0], down[0], across[1], down[1]


def _share(part: float, whole: float) -> float:
    return round(min(max(part / whole, 0.0), 1.0), 5)


def read_page(page: pypdfium2.PdfPage, annotations: Sequence[LinkAnnotation] = ()) -> Page:
    """Return lines in file order, and links. Raises PdfiumError if the page's text cannot be loaded."""
    frame = _Frame(page)
    textpage = page.get_textpage()
    try:
        lines = tuple(_merge_lines(_Reader(textpage, frame).lines()))
        links = tuple(_page_link(textpage, frame, annotation) for annotation in annotations)
    finally:
        textpage.close()
    return Page(frame.width, frame.height, lines, links)


def _page_link(textpage: pypdfium2.PdfTextPage, frame: _Frame, annotation: LinkAnnotation) -> PageLink:
    area = annotation.area
    text = textpage.get_text_bounded(area.left, area.bottom, area.right, area.top)
    (left,), (top,), (right,), (bottom,) = frame.boxes(bytes(area) * 2)
    return PageLink((left, top, right, bottom), Anchor(text, annotation.target))


class _Reader:
    def __init__(self, textpage: pypdfium2.PdfTextPage, frame: _Frame) -> None:
        self._textpage = textpage
        self._frame = frame
        self._raw = textpage.raw
        self._ends = (pdfium.FS_RECTF * 2)()
        self._first, self._last = map(ctypes.byref, self._ends)
        self._corners = bytearray()
        self._name, self._flags = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()
        self._text = self._characters()

    def _characters(self) -> str:
        """Return the page's text with one character per PDFium index."""
        count = self._textpage.count_chars()
        text: str = self._textpage.get_text_range(0, count) if count else ""
        if len(text) == count:
            return text
        return "".join(chr(pdfium.FPDFText_GetUnicode(self._textpage, i)) for i in range(count))

    def lines(self) -> Iterator[Line]:
        rows = [row for found in _ROW.finditer(self._text) if (row := self._row(found)).words]
        lefts, tops, rights, bottoms = self._frame.boxes(self._corners)
        end = 0
        for row in rows:
            place = slice(end, end := end + len(row.words))
            words = _Words(row.words, lefts[place], tops[place], rights[place], bottoms[place])
            yield self._line(words, row)

    def _row(self, found: re.Match[str]) -> _Row:
        """Return a row, without words that PDFium cannot locate."""
        raw, first, last = self._raw, self._first, self._last
        is_plain = found[1].isascii() and found[1].isprintable()
        words: list[str] = []
        start = end = 0
        for run in _RUN.finditer(self._text, *found.span(1)):
            begun, end = run.span()
            word = run[0] if is_plain else clean(run[0])
            if word and _char_box(raw, begun, first) and _char_box(raw, end - 1, last):
                self._corners += self._ends
                start = start if words else begun
                words.append(word)
        if words and found[2] in (_HYPHEN, "\ufffe"):
            words[-1] += BROKEN_WORD
        return _Row(words, start, end - 1)

    def _line(self, words: _Words, row: _Row) -> Line:
        """Build a line. A bold beginning alone does not make it bold."""
        box = words.box
        first = words.rights[0] - words.lefts[0]
        vertical = row.end - row.start > 1 and box[3] - box[1] > max(box[2] - box[0], 2 * first)
        height = first if vertical else words.bottoms[0] - words.tops[0]
        weight = min(self._weight(row.start), self._weight(row.end))
        bullet = len(words.texts) > 1 and bool(_BULLET.fullmatch(words.texts[0]))
        return Line(_cells(words, height, bullet=bullet), box, height, weight, bullet, vertical)

    def _weight(self, index: int) -> int:
        """Return the font's weight. Fonts that are not embedded only have it in their name."""
        if (weight := _font_weight(self._raw, index)) > 0:
            return weight
        length = pdfium.FPDFText_GetFontInfo(self._raw, index, self._name, _LONGEST_NAME, self._flags)
        return _BOLD if b"bold" in self._name.raw[: min(length, _LONGEST_NAME)].lower() else _REGULAR


def _cells(words: _Words, em: float, *, bullet: bool) -> tuple[Cell, ...]:
    """Split words that are far apart into cells. A currency sign belongs to the next cell."""
    wide, texts = _CELL_GAP * em, words.texts
    gaps = list(map(operator.sub, words.lefts[1:], words.rights))
    if max(gaps, default=0.0) <= wide:
        return (words.cell(0, len(texts)),)
    in_row = any(gap > wide for gap in gaps[1 if bullet else 0 :])
    starts = [0]
    for place, (gap, (before, text)) in enumerate(zip(gaps, pairwise(texts), strict=True)):
        apart = gap > wide or (in_row and text in _CURRENCY and gap > 0.3 * em)
        glued = before in _CURRENCY or (bullet and place == 0)
        if apart and not glued:
            starts.append(place + 1)
    return tuple(words.cell(start, end) for start, end in pairwise([*starts, len(texts)]))


def _merge_lines(lines: Iterator[Line]) -> Iterator[Line]:
    """Join lines that PDFium splits at raised or shifted text."""
    pending: Line | None = None
    for line in lines:
        if pending is not None and _continues(pending, line):
            pending = _join_fragments(pending, line)
            continue
        if pending is not None:
            yield pending
        pending = line
    if pending is not None:
        yield pending


def _continues(line: Line, following: Line) -> bool:
    if line.vertical or following.vertical or line.cells[-1].text.endswith(BROKEN_WORD):
        return False
    overlap = min(line.box[3], following.box[3]) - max(line.box[1], following.box[1])
    beside = following.box[0] >= line.box[2] - 0.3 * line.height
    return beside and overlap > 0.5 * min(line.height, following.height)


def _join_fragments(line: Line, following: Line) -> Line:
    gap = following.box[0] - line.box[2]
    box = (
        line.box[0],
        min(line.box[1], following.box[1]),
        following.box[2],
        max(line.box[3], following.box[3]),
    )
    if gap > _CELL_GAP * line.height:
        cells = (*line.cells, *following.cells)
    else:
        last, first = line.cells[-1], following.cells[0]
        glue = "" if gap < _TIGHT * line.height else " "
        cells = (
            *line.cells[:-1],
            Cell(last.text + glue + first.text, last.left, first.right),
            *following.cells[1:],
        )
    return Line(cells, box, max(line.height, following.height), line.weight, line.bullet)
