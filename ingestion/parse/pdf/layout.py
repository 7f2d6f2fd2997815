"""Group a page's lines into paragraphs, list items, headings and tables."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from ingestion.parse.pdf.lines import Cell, Line, Page
from ingestion.parse.pdf.tables import table_runs

_NUMBERED: Final = re.compile(r"\(?\d{1,2}[.)]\s")
_SENTENCE_END: Final = (".", "!", "?", ":", ";")
_BOLD: Final = 600
_BOLDER: Final = 1.25
_LARGER: Final = 1.15
_LONGEST_HEADING: Final = 160
_MOST_HEADING_LINES: Final = 4
_LONGEST_CAPITALS: Final = 80
_OPENING: Final = "“\"'§¿¡"


@dataclass(frozen=True, slots=True)
class Style:
    """The style of ordinary text in a document. `leading` is the line distance in line heights."""

    height: float
    weight: int
    leading: float

    def is_larger(self, line: Line) -> bool:
        return line.height >= self.height * _LARGER

    def is_bold(self, line: Line) -> bool:
        return line.weight >= _BOLD > self.weight or line.weight > self.weight * _BOLDER > 0


@dataclass(frozen=True, slots=True)
class Block:
    """A block of lines. `kind` is paragraph, item, heading or table."""

    kind: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


def measure(pages: Sequence[Page]) -> Style:
    heights: Counter[float] = Counter()
    weights: Counter[int] = Counter()
    steps: list[float] = []
    for page in pages:
        for line in page.lines:
            heights[_round_height(line.height)] += len(line.text)
            weights[line.weight] += len(line.text)
        steps.extend(_steps(page.lines))
    height = heights.most_common(1)[0][0] if heights else 10.0
    weight = weights.most_common(1)[0][0] if weights else 0
    return Style(height, weight, statistics.median(steps) if steps else 1.2)


def _round_height(height: float) -> float:
    return round(height * 2) / 2


def _steps(lines: Sequence[Line]) -> Iterator[float]:
    for above, below in pairwise(lines):
        step = (below.box[3] - above.box[3]) / max(above.height, 1.0)
        if 0.7 < step < 2.5 and len(above.cells) == len(below.cells) == 1:
            yield step


def blocks_of(page: Page, style: Style) -> Iterator[Block]:
    lines = _by_column(page.lines)
    place = 0
    for start, end in table_runs(lines):
        yield from _text_blocks(lines[place:start], style)
        yield Block("table", tuple(lines[start:end]))
        place = end
    yield from _text_blocks(lines[place:], style)


def _text_blocks(lines: Sequence[Line], style: Style) -> Iterator[Block]:
    group: list[Line] = []
    for line in lines:
        if group and not _continues_paragraph(group, line, style):
            yield _block(group, style)
            group = []
        group.append(line)
    if group:
        yield _block(group, style)


def _block(lines: Sequence[Line], style: Style) -> Block:
    if _starts_item(lines[0]) and not style.is_larger(lines[0]) and not _all_bold(lines, style):
        return Block("item", tuple(lines))
    return Block("heading" if _is_heading(lines, style) else "paragraph", tuple(lines))


def _is_heading(lines: Sequence[Line], style: Style) -> bool:
    text = " ".join(line.text for line in lines)
    if len(lines) > _MOST_HEADING_LINES or len(text) > _LONGEST_HEADING or lines[0].vertical:
        return False
    if text.endswith((".", ",", ";", ":")) or sum(map(str.isalpha, text)) < 3:
        return False
    if text[0].islower() or not (text[0].isalnum() or text[0] in _OPENING):
        return False
    return all(style.is_larger(line) for line in lines) or _all_bold(lines, style) or _is_capitals(lines)


def _is_capitals(lines: Sequence[Line]) -> bool:
    text = lines[0].text
    return len(lines) == 1 and text.isupper() and len(text.split()) > 1 and len(text) < _LONGEST_CAPITALS


def _all_bold(lines: Sequence[Line], style: Style) -> bool:
    return all(style.is_bold(line) for line in lines)


def _starts_item(line: Line) -> bool:
    return line.bullet or bool(_NUMBERED.match(line.text))


def _continues_paragraph(group: Sequence[Line], line: Line, style: Style) -> bool:
    """Return whether `line` continues the paragraph begun by `group`."""
    above = group[-1]
    if above.vertical or line.vertical:
        return above.vertical and line.vertical
    step = line.box[3] - above.box[3]
    most = max(1.3 * style.leading, 1.45 if style.is_larger(line) else 0.0) * max(above.height, line.height)
    if line.bullet or not 0 < step <= most:
        return False
    if not 0.87 < line.height / max(above.height, 0.1) < 1.15:
        return False
    if style.is_bold(above) != style.is_bold(line) and not style.is_larger(line):
        return False
    if line.box[0] > above.box[2] or line.box[2] < above.box[0]:
        return False
    return not _begins_paragraph(group, line)


def _begins_paragraph(group: Sequence[Line], line: Line) -> bool:
    above, first = group[-1], group[0]
    em = line.height
    if first.bullet:
        return line.box[0] < first.box[0] + 0.4 * em
    if _is_centred(above, line):
        return False
    ended = above.text.endswith(_SENTENCE_END)
    widest = max(line.box[2], *(member.box[2] for member in group))
    stopped_short = above.box[2] < widest - 0.12 * (widest - above.box[0])
    indented = line.box[0] > above.box[0] + 0.8 * em and len(group) > 1
    return ended and (stopped_short or indented or bool(_NUMBERED.match(line.text)))


def _is_centred(above: Line, line: Line) -> bool:
    apart = abs((above.box[0] + above.box[2]) - (line.box[0] + line.box[2])) / 2
    return apart < 0.6 * line.height and abs(above.box[0] - line.box[0]) > line.height


def _by_column(lines: Sequence[Line]) -> list[Line]:
    """Sort lines by column where a file writes across both columns of a page."""
    pairs = [line for line in lines if len(line.cells) == 2 and min(map(_length, line.cells)) > 15]
    if len(pairs) < 8 or len(pairs) < 0.5 * len(lines):
        return list(lines)
    left_edge = statistics.median(line.cells[0].right for line in pairs)
    right_edge = statistics.median(line.cells[1].left for line in pairs)
    if left_edge >= right_edge:
        return list(lines)
    gutter = (left_edge + right_edge) / 2
    halves = [half for line in lines for half in _halves(line, gutter)]
    return sorted(halves, key=lambda line: line.box[0] >= gutter)


def _length(cell: Cell) -> int:
    return len(cell.text)


def _halves(line: Line, gutter: float) -> Iterator[Line]:
    left = tuple(cell for cell in line.cells if cell.right <= gutter)
    right = line.cells[len(left) :]
    if not left or not right:
        yield line
        return
    for part in (left, right):
        yield replace(line, cells=part, box=(part[0].left, line.box[1], part[-1].right, line.box[3]))
