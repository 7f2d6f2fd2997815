"""Recognise captions, tables with headers, and notes in rows of cells.

A sheet is split at empty rows, and at empty columns if the cells beside them form another table.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Final

Value = object
"""Text, a number, a truth value, a date or a time; never empty."""

_MOST_CAPTIONS: Final = 3
_LONGEST_CAPTION: Final = 120
_ROOM_BELOW_TITLE: Final = 2  # rows
_LONGEST_LABEL: Final = 120
_SHORT_NOTE: Final = 60
_MOST_HEADER_ROWS: Final = 3
_LEAST_LIST: Final = 4
_DEEPEST: Final = 4
_MOST_BESIDE: Final = 50
_SAMPLE: Final = 50
_LONG_LABEL: Final = 30
_YEARS: Final = range(1900, 2101)
_NUMBER: Final = re.compile(r"[-+(]?\s*[$€£¥]?\s*[-+]?\d[\d.,' ]*\s*[%$€£¥]?\)?")
_NOTE: Final = re.compile(r"[*†‡¹²³]|\(?\d{1,2}\)\s|(?:notes?|sources?|anmerkung|quelle)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A non-empty row. `number` and columns count from 0; `cells` is ordered by column."""

    number: int
    cells: Mapping[int, Value]


@dataclass(frozen=True, slots=True)
class Caption:
    """A line above tables. `apart`: an empty row follows, so it names more than the next table."""

    row: Row
    apart: bool


@dataclass(frozen=True, slots=True)
class Note:
    row: Row


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `columns` are the non-empty ones. `goes_on`: `header` is that of an earlier table."""

    columns: tuple[int, ...]
    header: tuple[Row, ...]
    body: Sequence[Row]
    goes_on: bool = False


Part = Caption | Note | Table


@dataclass(slots=True)
class Reader:
    """Recognises the parts of one sheet by bands. `side_by_side`: tables may be next to each other."""

    side_by_side: bool = True
    _last: Table | None = field(default=None, init=False)
    _known: frozenset[int] = field(default=frozenset(), init=False)

    def parts(self, band: Sequence[Row], depth: int = 0) -> Iterator[Part]:
        """Yield the parts of a band, which is a run of rows without an empty one."""
        captions = _captions(band)
        for row, below in pairwise(band[: captions + 1]):
            yield Caption(row, below.number > row.number + 1)
        rest = band[captions:]
        beside = _split_side_by_side(rest) if self.side_by_side and depth < _DEEPEST else []
        if len(beside) > 1:
            for part in beside:
                for smaller in bands(part):
                    yield from self.parts(smaller, depth + 1)
        elif rest:
            yield from self._block(rest)

    def _block(self, rows: Sequence[Row]) -> Iterator[Part]:
        end = len(rows) - _notes(rows)
        columns = _columns(rows[:end])
        if len(columns) == 1 and not _is_list(rows[:end]):
            yield from (Note(row) for row in rows)
            return
        table = self._table(columns, rows[:end])
        if not table.goes_on:
            self._last, self._known = table, frozenset(columns)
        yield table
        yield from (Note(row) for row in rows[end:])

    def _table(self, columns: tuple[int, ...], rows: Sequence[Row]) -> Table:
        count = header_rows(columns, rows)
        last = self._last
        if not count and last and last.header and len(columns) > 1 and self._known.issuperset(columns):
            return Table(last.columns, last.header, rows, goes_on=True)
        return Table(columns, tuple(rows[:count]), rows[count:])


def bands(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield runs of rows without gaps. A title with few empty rows below is part of the next run."""
    band: list[Row] = []
    for row in rows:
        gap = row.number - band[-1].number - 1 if band else 0
        if gap and not (gap <= _ROOM_BELOW_TITLE and len(row.cells) > 1 and _is_title(band)):
            yield band
            band = []
        band.append(row)
    if band:
        yield band


def _is_title(band: Sequence[Row]) -> bool:
    return len(band) <= _MOST_CAPTIONS and all(len(row.cells) == 1 and _is_short(row) for row in band)


def _columns(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(sorted({column for row in rows for column in row.cells}))


def _captions(rows: Sequence[Row]) -> int:
    """Count the short lines above rows with several columns."""
    count = 0
    while count < len(rows) and len(rows[count].cells) == 1 and _is_short(rows[count]):
        count += 1
    return count if count < len(rows) and count <= _MOST_CAPTIONS and _is_wide(rows[count:]) else 0


def _is_wide(rows: Sequence[Row]) -> bool:
    return any(len(row.cells) > 1 for row in rows)


def _is_short(row: Row) -> bool:
    (value,) = row.cells.values()
    return _is_text(value) and len(str(value)) <= _LONGEST_CAPTION


def _notes(rows: Sequence[Row]) -> int:
    """Count the lines below a table that are remarks about it."""
    count = 0
    while count < len(rows) - 1 and _is_note(rows[-1 - count]):
        count += 1
    return count if _is_wide(rows[: len(rows) - count]) else 0


def _is_note(row: Row) -> bool:
    if len(row.cells) != 1:
        return False
    (value,) = row.cells.values()
    return isinstance(value, str) and (len(value) > _SHORT_NOTE or bool(_NOTE.match(value)))


def _is_list(rows: Sequence[Row]) -> bool:
    """Return whether the rows are a list of short values in one column."""
    values = [value for row in rows for value in row.cells.values()]
    return len(rows) >= _LEAST_LIST and all(len(str(value)) <= _SHORT_NOTE for value in values)


def _split_side_by_side(rows: Sequence[Row]) -> list[list[Row]]:
    """Return tables next to each other, each with its own rows; empty if there is only one."""
    extents = _extents(rows)
    runs = _runs(sorted(extents))
    if not 1 < len(runs) <= _MOST_BESIDE:
        return []
    groups = [runs[0]]
    for run in runs[1:]:
        if _is_separate_table(rows, extents, groups[-1], run):
            groups.append(run)
        else:
            groups[-1] = [*groups[-1], *run]
    return [_within(rows, group) for group in groups] if len(groups) > 1 else []


def _extents(rows: Sequence[Row]) -> dict[int, tuple[int, int]]:
    """Return the first and last row of each column."""
    extents: dict[int, tuple[int, int]] = {}
    for row in rows:
        for column in row.cells:
            extents[column] = (extents[column][0] if column in extents else row.number, row.number)
    return extents


def _runs(columns: Sequence[int]) -> list[list[int]]:
    """Return runs of adjacent columns."""
    runs: list[list[int]] = []
    for column in columns:
        if runs and column == runs[-1][-1] + 1:
            runs[-1].append(column)
        else:
            runs.append([column])
    return runs


def _within(rows: Sequence[Row], columns: Sequence[int]) -> list[Row]:
    selected = set(columns)
    rows_within = (
        Row(row.number, {c: value for c, value in row.cells.items() if c in selected}) for row in rows
    )
    return [row for row in rows_within if row.cells]


def _is_separate_table(
    rows: Sequence[Row], extents: Mapping[int, tuple[int, int]], left: Sequence[int], right: Sequence[int]
) -> bool:
    """Return whether columns behind a gap are another table, with its own header, rather than remarks."""
    beside, own = _extent(extents, left), _extent(extents, right)
    if own[0] < beside[0] or own[1] > beside[1]:
        return True
    if len(right) == 1:
        return False
    sample = rows[:_SAMPLE]
    heads = [list(part[0].cells.values()) for part in (_within(sample, left), _within(sample, right)) if part]
    if len(heads) == 2 and heads[0][: len(heads[1])] == heads[1]:
        return True
    return own[0] == beside[0] and own[1] != beside[1] and _has_labels(_within(sample, right), right)


def _extent(extents: Mapping[int, tuple[int, int]], columns: Sequence[int]) -> tuple[int, int]:
    firsts, lasts = zip(*(extents[column] for column in columns), strict=True)
    return min(firsts), max(lasts)


def _has_labels(rows: Sequence[Row], columns: Sequence[int]) -> bool:
    firsts = [row.cells.get(columns[0]) for row in rows]
    return header_rows(tuple(columns), rows) > 0 and all(isinstance(value, str) for value in firsts)


def header_rows(columns: Sequence[int], rows: Sequence[Row]) -> int:
    """Count the header rows; 0 if there are none."""
    if len(rows) < 2 or not _are_labels(rows[0], rows[1]):
        return 0
    count = 1
    while (
        count < _MOST_HEADER_ROWS and count + 1 < len(rows) and _continues_header(rows[count - 1 : count + 2])
    ):
        count += 1
    return count if 2 * len({c for row in rows[:count] for c in row.cells}) >= len(columns) else 0


def _continues_header(rows: Sequence[Row]) -> bool:
    """Return whether the second of three rows continues the header by naming columns left open by the
    first.
    """
    above, row, below = rows
    opens = not set(row.cells) <= set(above.cells)
    return opens and _are_labels(row, below) and not all(map(_is_text, below.cells.values()))


def _are_labels(row: Row, below: Row) -> bool:
    named = any(map(_is_text, row.cells.values()))
    return named and all(_is_label(value, below.cells.get(column)) for column, value in row.cells.items())


def _is_label(value: Value, below: Value | None) -> bool:
    if _is_year(value) or isinstance(value, date):
        return not _is_year(below) and not isinstance(below, date)
    return _is_text(value) and _is_name(str(value))


def _is_name(text: str) -> bool:
    """Return whether a value can name a column, unlike form labels and sentences."""
    sentence = len(text) > _LONG_LABEL and text.endswith((".", "!", "?"))
    return len(text) <= _LONGEST_LABEL and not text.endswith(":") and not sentence


def _is_text(value: Value) -> bool:
    return isinstance(value, str) and (len(value) > _LONGEST_LABEL or not _NUMBER.fullmatch(value.strip()))


def _is_year(value: Value | None) -> bool:
    if isinstance(value, str):
        return value.isdecimal() and value.isascii() and len(value) == 4 and int(value) in _YEARS
    return isinstance(value, int | float) and value in _YEARS
