"""Rows and cells of HTML tables, with spans written out."""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from ingestion.parse.core import header_rows

_MAX_SPAN: Final = 100
_CELLS: Final = ("td", "th")
_GROUPS: Final = ("thead", "tbody", "tfoot")
_CURRENCY: Final = frozenset("$€£¥")
_BEFORE: Final = _CURRENCY | {"("}
_AFTER: Final = frozenset(("%", ")", ")%"))


def rows_of(table: etree._Element) -> Iterator[etree._Element]:
    """Return the table's own `tr` elements, not those of nested tables."""
    for child in table:
        if child.tag == "tr":
            yield child
        elif child.tag in _GROUPS:
            yield from (row for row in child if row.tag == "tr")


def read(table: etree._Element) -> tuple[str, int]:
    """Return text with a line per row, and the number of header lines."""
    write_out_spans(table)
    rows = list(rows_of(table))
    grid = [[_text(cell) for cell in row if cell.tag in _CELLS] for row in rows]
    compact = _compact(grid)
    lines = [_line(row) for row in compact]
    headers = sum(1 for line in lines[: _header_rows(rows)] if line)
    headers = headers or header_rows.header_rows([row for row in compact if any(row)])
    caption = _text(found) if (found := table.find("caption")) is not None else ""
    written = [caption, *lines] if caption else lines
    text = "\n".join(line for line in written if line)
    return text, headers + 1 if caption else headers


def _compact(grid: list[list[str]]) -> list[list[str]]:
    """Drop empty columns, and merge columns of signs with the figures beside them."""
    width = max(map(len, grid), default=0)
    columns = [[row[i] if i < len(row) else "" for row in grid] for i in range(width)]
    compacted: list[list[str]] = []
    for column in filter(any, columns):
        if compacted and (merged := _merge(compacted[-1], column)):
            compacted[-1] = merged
        else:
            compacted.append(column)
    return [[column[place] for column in compacted] for place in range(len(grid))]


def _merge(left: list[str], right: list[str]) -> list[str] | None:
    """Merge two columns that are halves of one: signs beside figures, never both filled."""
    pairs = list(zip(left, right, strict=True))
    signs = any(a in _BEFORE or b in _AFTER for a, b in pairs if a or b)
    if not signs or any(a and b and a[-1] not in _BEFORE and b not in _AFTER for a, b in pairs):
        return None
    return [_join_currency(a, b) for a, b in pairs]


def _join_currency(a: str, b: str) -> str:
    return f"{a} {b}" if a in _CURRENCY and b else a + b


def _header_rows(rows: list[etree._Element]) -> int:
    count = 0
    for row in rows:
        cells = [cell.tag for cell in row if cell.tag in _CELLS]
        parent = row.getparent()
        if (parent is None or parent.tag != "thead") and (not cells or "td" in cells):
            break
        count += 1
    return 0 if count == len(rows) else count


def write_out_spans(table: etree._Element) -> None:
    """Repeat row-spanning cells in each row, and add empty cells after column-spanning ones."""
    carried: dict[int, tuple[int, etree._Element]] = {}
    for row in rows_of(table):
        following: dict[int, tuple[int, etree._Element]] = {}
        column = 0
        for cell in [cell for cell in row if cell.tag in _CELLS]:
            column = _carry_down(row, row.index(cell), column, carried, following)
            across, down = _span(cell, "colspan"), _span(cell, "rowspan")
            if down > 1:
                following[column] = (down - 1, cell)
            for _ in range(across - 1):
                row.insert(row.index(cell) + 1, cell.makeelement(cell.tag, {}))
            column += across
            for name in {"colspan", "rowspan"} & set(cell.attrib):
                del cell.attrib[name]
        _carry_down(row, len(row), column, carried, following)
        carried = following


def _carry_down(
    row: etree._Element,
    place: int,
    column: int,
    carried: dict[int, tuple[int, etree._Element]],
    following: dict[int, tuple[int, etree._Element]],
) -> int:
    """Insert cells from above that span into `row` at `column`. Returns the next free column."""
    while column in carried:
        left, cell = carried.pop(column)
        if left > 1:
            following[column] = (left - 1, cell)
        repeated = cell.makeelement(cell.tag, {})
        repeated.text = _text(cell)
        row.insert(place, repeated)
        place, column = place + 1, column + 1
    return column


def _span(cell: etree._Element, name: str) -> int:
    value = cell.get(name) or "1"
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _text(cell: etree._Element) -> str:
    return " ".join(" ".join(map(str, cell.itertext())).split())


def _line(cells: list[str]) -> str:
    return " | ".join(cells).rstrip(" |") if any(cells) else ""
