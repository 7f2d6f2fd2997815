"""Lines of text on a PDF page, with their boxes in points of the page as shown, from its top left."""

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from cairn.library.rendition import Box
from ingestion.parse.text import clean

_HYPHEN: Final = "\x02"  # PDFium's sign for a hyphen that ends a line
BROKEN_WORD: Final = "\u00ad"  # ours, until the whole document tells how the word is spelt
_RUN: Final = re.compile(r"[^\s\x02\ufffe]+|[\r\n\x02\ufffe]")
_BULLET: Final = re.compile(r"[•▪●■◦‣∙·○□➢❖✓*–—-]|[\uf000-\uf0ff]")
_CURRENCY: Final = frozenset("$€£¥")
_DEVICE: Final = 1_000_000
_CELL_GAP: Final = 1.3  # of the line's height; wider than justified text
_LONGEST_NAME: Final = 128
_BOLD: Final = 700
_REGULAR: Final = 400
_TIGHT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Line:
    """`height` is that of its letters; `weight` is the font's."""

    cells: tuple[Cell, ...]
    box: Box
    height: float
    weight: int
    bullet: bool = False
    vertical: bool = False

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)


@dataclass(slots=True)
class _Word:
    text: str
    left: float
    top: float
    right: float
    bottom: float


class _Frame:
    """Maps PDF's points to points on the page as a viewer shows it: cropped, turned, from the top left."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        self.width, self.height = (max(side, 1.0) for side in page.get_size())
        ox, oy = self._shown(page, 0, 0)
        (xx, xy), (yx, yy) = self._shown(page, 1000, 0), self._shown(page, 0, 1000)
        self._matrix = (ox, (xx - ox) / 1000, (yx - ox) / 1000, oy, (xy - oy) / 1000, (yy - oy) / 1000)

    def _shown(self, page: pypdfium2.PdfPage, x: float, y: float) -> tuple[float, float]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, _DEVICE, _DEVICE, 0, x, y, across, down)
        return across.value / _DEVICE * self.width, down.value / _DEVICE * self.height

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        ox, xx, yx, oy, xy, yy = self._matrix
        x1, x2 = ox + left * xx + bottom * yx, ox + right * xx + top * yx
        y1, y2 = oy + left * xy + bottom * yy, oy + right * xy + top * yy
        if x1 > x2:
            x1, x2 = x2, x1
        return (x1, y2, x2, y1) if y2 < y1 else (x1, y1, x2, y2)


@dataclass(frozen=True, slots=True)
class Page:
    width: float
    height: float
    lines: tuple[Line, ...]

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


def read_page(page: pypdfium2.PdfPage) -> Page:
    """Lines in the order of the file. Raises PdfiumError when the page's text cannot be loaded."""
    frame = _Frame(page)
    textpage = page.get_textpage()
    try:
        lines = tuple(_merged(_Reader(textpage, frame).lines()))
    finally:
        textpage.close()
    return Page(frame.width, frame.height, lines)


class _Reader:
    def __init__(self, textpage: pypdfium2.PdfTextPage, frame: _Frame) -> None:
        self._textpage = textpage
        self._frame = frame
        self._raw = textpage.raw
        self._first, self._last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
        self._name, self._flags = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()
        self._text = self._characters()

    def _characters(self) -> str:
        """One character for each index of PDFium's own count."""
        count = self._textpage.count_chars()
        text: str = self._textpage.get_text_range(0, count) if count else ""
        if len(text) == count:
            return text
        return "".join(chr(pdfium.FPDFText_GetUnicode(self._textpage, i)) for i in range(count))

    def lines(self) -> Iterator[Line]:
        words: list[_Word] = []
        start = end = 0
        for run in _RUN.finditer(self._text):
            if run.group() not in ("\r", "\n", _HYPHEN, "\ufffe"):
                start = run.start() if not words else start
                end = run.end() - 1
                words.extend(self._word(run.start(), run.end()))
                continue
            if words and run.group() in (_HYPHEN, "\ufffe"):
                words[-1].text += BROKEN_WORD
            if words:
                yield self._line(words, start, end)
            words = []
        if words:
            yield self._line(words, start, end)

    def _word(self, start: int, end: int) -> Iterator[_Word]:
        run = self._text[start:end]
        text = run if run.isascii() and run.isprintable() else clean(run)
        first, last, load = self._first, self._last, pdfium.FPDFText_GetLooseCharBox
        if not text or not load(self._raw, start, first) or not load(self._raw, end - 1, last):
            return
        left, right = min(first.left, last.left), max(first.right, last.right)
        bottom, top = min(first.bottom, last.bottom), max(first.top, last.top)
        yield _Word(text, *self._frame.box(left, bottom, right, top))

    def _line(self, words: Sequence[_Word], start: int, end: int) -> Line:
        """`start` and `end` are the first and last character: a bold start alone makes no heading."""
        first = words[0]
        box = _around(words)
        vertical = end - start > 1 and box[3] - box[1] > max(box[2] - box[0], 2 * (first.right - first.left))
        height = first.right - first.left if vertical else first.bottom - first.top
        weight = min(self._weight(start), self._weight(end))
        bullet = len(words) > 1 and bool(_BULLET.fullmatch(first.text))
        cells = _cells(words, height, bullet=bullet)
        return Line(cells, box, height, weight, bullet, vertical)

    def _weight(self, index: int) -> int:
        """Fonts that are not embedded tell their weight by name only."""
        weight: int = pdfium.FPDFText_GetFontWeight(self._raw, index)
        if weight > 0:
            return weight
        length = pdfium.FPDFText_GetFontInfo(self._raw, index, self._name, _LONGEST_NAME, self._flags)
        return _BOLD if b"bold" in self._name.raw[: min(length, _LONGEST_NAME)].lower() else _REGULAR


def _around(words: Sequence[_Word]) -> Box:
    return (
        min(word.left for word in words),
        min(word.top for word in words),
        max(word.right for word in words),
        max(word.bottom for word in words),
    )


def _cells(words: Sequence[_Word], em: float, *, bullet: bool) -> tuple[Cell, ...]:
    """Words that stand far apart are cells of a row; a currency sign belongs to what follows it."""
    wide = _CELL_GAP * em
    gaps = [after.left - before.right for before, after in pairwise(words)]
    in_row = any(gap > wide for gap in gaps[1 if bullet else 0 :])
    groups: list[list[_Word]] = [[words[0]]]
    for place, (gap, word) in enumerate(zip(gaps, words[1:], strict=True)):
        before = groups[-1][-1].text
        apart = gap > wide or (in_row and word.text in _CURRENCY and gap > 0.3 * em)
        glued = before in _CURRENCY or (bullet and place == 0)
        if apart and not glued:
            groups.append([word])
        else:
            groups[-1].append(word)
    return tuple(_cell(group, em) for group in groups)


def _cell(words: Sequence[_Word], em: float) -> Cell:
    text = words[0].text
    for before, word in pairwise(words):
        text += word.text if word.left - before.right < _TIGHT * em and not before.text else f" {word.text}"
    return Cell(text, words[0].left, words[-1].right)


def _merged(lines: Iterator[Line]) -> Iterator[Line]:
    """PDFium starts a new line at raised or shifted text; on the page it is the same line."""
    held: Line | None = None
    for line in lines:
        if held is not None and _continues(held, line):
            held = _joined(held, line)
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held


def _continues(line: Line, following: Line) -> bool:
    if line.vertical or following.vertical or line.text.endswith(BROKEN_WORD):
        return False
    overlap = min(line.box[3], following.box[3]) - max(line.box[1], following.box[1])
    beside = following.box[0] >= line.box[2] - 0.3 * line.height
    return beside and overlap > 0.5 * min(line.height, following.height)


def _joined(line: Line, following: Line) -> Line:
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
