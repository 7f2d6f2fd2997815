"""Detect tables among a page's lines by cells that are apart, and write them out by rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cairn.library.rendition import Box
from ingestion.parse.core.header_rows import is_figure, leading_rows
from ingestion.parse.pdf.lines import Cell, Line

_MOST_BETWEEN: Final = 2
_FEWEST_ROWS: Final = 3
_MOST_HEADER_LINES: Final = 12
_SENTENCE: Final = 60


@dataclass(frozen=True, slots=True)
class Row:
    cells: tuple[Cell, ...]
    box: Box


def table_runs(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Return (start, end) ranges of tables, in order and disjoint."""
    runs: list[tuple[int, int]] = []
    for start, end in _groups(lines):
        first = _with_header(lines, start, end, runs[-1][1] if runs else 0)
        runs.append((first, end))
    return runs


def _groups(lines: Sequence[Line]) -> list[tuple[int, int]]:
    rows = [i for i, line in enumerate(lines) if len(line.cells) > 1 and not line.vertical]
    groups: list[list[int]] = []
    for i in rows:
        if groups and _are_linked(lines, groups[-1][-1], i):
            groups[-1].append(i)
        else:
            groups.append([i])
    return [(group[0], group[-1] + 1) for group in groups if _is_table([lines[i] for i in group])]


def _are_linked(lines: Sequence[Line], above: int, below: int) -> bool:
    between = lines[above + 1 : below]
    if len(between) > _MOST_BETWEEN or any(_is_prose(line) for line in between):
        return False
    chain = lines[above : below + 1]
    most = 3.0 if between else 3.5
    steps = pairwise(chain)
    return all(-0.5 < (b.box[3] - a.box[3]) / max(a.height, 1.0) < most for a, b in steps)


def _is_prose(line: Line) -> bool:
    long = len(line.text) > (_SENTENCE if line.text.endswith(".") else 1.5 * _SENTENCE)
    return line.bullet or (long and line.text.endswith((".", ":")))


def _is_table(rows: Sequence[Line]) -> bool:
    figures = sum(is_figure(cell.text) for line in rows for cell in line.cells)
    return len(rows) >= _FEWEST_ROWS or (len(rows) > 1 and figures > 2)


def _with_header(lines: Sequence[Line], start: int, end: int, floor: int) -> int:
    """Extend a table upwards by lines with column heads right of the labels."""
    columns = min(line.cells[1].left for line in lines[start:end] if len(line.cells) > 1)
    first, top, labels = start, lines[start].box[1], 0
    for i in range(start - 1, max(floor, start - _MOST_HEADER_LINES) - 1, -1):
        if not _is_near(lines[i], top):
            break
        if lines[i].box[0] > columns - 4 * lines[i].height:
            first = i
            top = min(top, lines[i].box[1])
        elif (labels := labels + 1) > _MOST_BETWEEN:
            break
    return first


def _is_near(line: Line, top: float) -> bool:
    near = -4 * line.height < top - line.box[3] < 2.5 * line.height
    return near and not line.vertical and len(line.text) < _SENTENCE and not line.text.endswith(".")


def rows_of(lines: Sequence[Line]) -> list[Row]:
    """Group lines at the same height into rows."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3]) / 2):
        if rows and _level(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_row(members) for members in rows]


def _level(line: Line, other: Line) -> bool:
    apart = abs((line.box[1] + line.box[3]) - (other.box[1] + other.box[3])) / 2
    return apart < 0.4 * min(line.height, other.height)


def _row(lines: Sequence[Line]) -> Row:
    cells = sorted((cell for line in lines for cell in line.cells), key=lambda cell: cell.left)
    tops, bottoms = [line.box[1] for line in lines], [line.box[3] for line in lines]
    return Row(tuple(cells), (cells[0].left, min(tops), max(cell.right for cell in cells), max(bottoms)))


def row_texts(rows: Sequence[Row]) -> list[str]:
    """Write out rows. A row that begins right of the labels' column gets an empty cell there."""
    edge = min(row.cells[0].left for row in rows)
    inner = min((row.cells[1].left for row in rows if len(row.cells) > 1), default=edge)
    return [_row_text(row, (edge + inner) / 2) for row in rows]


def _row_text(row: Row, labels_end: float) -> str:
    texts = [cell.text for cell in row.cells]
    return " | ".join(texts if row.cells[0].left < labels_end else ["", *texts])


def header_rows(rows: Sequence[Row]) -> int:
    """Count leading rows without figures, except years, up to the first row with figures."""
    return leading_rows([[cell.text for cell in row.cells] for row in rows])
