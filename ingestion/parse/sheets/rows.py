"""Write a grid into a rendition: a line per row, with the cells it came from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from cairn.library.cell_ranges import Range
from ingestion.parse.core.rendition_builder import TABLE, TEXT, RenditionBuilder
from ingestion.parse.sheets.grid import Caption, Note, Part, Row, Table, Value

Shown = Callable[[int, int, Value], str]
"""What a person sees in a cell: (row, column, value), both counted from 0."""

Places = dict[int, int]
"""Of a table's columns, in order: how many stand before each."""

_ROWS_PER_TABLE: Final = 50
_LONGEST_HEADER: Final = 400
_TITLE: Final = 1  # level of what names several tables; the sheet's name is above
_CAPTION: Final = 5


class Full(Exception):
    """The rendition is full. `row` is the first row that was left out, from 0."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, slots=True)
class Line:
    row: int
    text: str
    cells: str


class RowWriter:
    def __init__(self, builder: RenditionBuilder, shown: Shown, *, sheet: str | None = None) -> None:
        self._builder = builder
        self._shown = shown
        self._sheet = sheet

    def write(self, parts: Iterable[Part]) -> None:
        """Write the parts of one band. Raises Full."""
        captions = 0
        for place, part in enumerate(parts):
            if place == 0 and not (isinstance(part, Table) and part.goes_on):
                self._builder.close(_CAPTION)
            match part:
                case Caption():  # below each other they go from the general to the special
                    level = (_TITLE if part.apart else _CAPTION) + captions
                    self._builder.heading(level, self._build_checked_line(part.row).text)
                    captions += 1
                    continue
                case Note():
                    line = self._build_checked_line(part.row)
                    self._builder.add(TEXT, line.text, sheet=self._sheet, cells=(line.cells,))
                case Table():
                    self._table(part)
            captions = 0

    def _build_checked_line(self, row: Row) -> Line:
        line = self._line(row, _places(tuple(row.cells)))
        if len(line.text) > self._builder.room:
            raise Full(row.number)
        return line

    def _table(self, table: Table) -> None:
        places = _places(table.columns)
        header = [line for row in table.header if (line := self._line(row, places)).text]
        body = self._without_repeats(table)
        if sum(len(line.text) for line in header) > _LONGEST_HEADER:
            labels = self._labels(table)
            self._blocks([], (self._build_labelled_line(row, labels, places) for row in body))
        else:
            self._blocks(header, (self._line(row, places) for row in body))

    def _without_repeats(self, table: Table) -> Iterator[Row]:
        """Drop repeated headers, as in printed sheets and joined exports."""
        headers = [row.cells for row in table.header]
        return (row for row in table.body if row.cells not in headers)

    def _blocks(self, header: Sequence[Line], lines: Iterator[Line]) -> None:
        """Yield blocks of rows with their header. A header without rows is written as a row."""
        body = filter(lambda line: line.text, lines)
        block = list(islice(body, _ROWS_PER_TABLE))
        if not block and header:
            self._add((), header)
        while block:
            self._add(header, block)
            block = list(islice(body, _ROWS_PER_TABLE))

    def _add(self, header: Sequence[Line], block: Sequence[Line]) -> None:
        fitting = self._fitting(header, block)
        if fitting:
            lines = [*header, *fitting]
            self._builder.add(
                TABLE,
                "\n".join(line.text for line in lines),
                header_rows=len(header),
                sheet=self._sheet,
                cells=[line.cells for line in lines],
            )
        if len(fitting) < len(block):
            raise Full(block[len(fitting)].row)

    def _fitting(self, header: Sequence[Line], block: Sequence[Line]) -> Sequence[Line]:
        room = self._builder.room - sum(len(line.text) + 1 for line in header)
        for place, line in enumerate(block):
            room -= len(line.text) + 1
            if room < 0:
                return block[:place]
        return block

    def _line(self, row: Row, places: Places) -> Line:
        """Write a row, in time proportional to its non-empty cells."""
        texts: list[str] = []
        for column, value in row.cells.items():
            if text := self._shown(row.number, column, value):
                texts.extend("" for _ in range(places[column] - len(texts)))
                texts.append(text)
        return Line(row.number, " | ".join(texts), _cells(row, places))

    def _labels(self, table: Table) -> dict[int, str]:
        return {
            column: " ".join(
                self._shown(row.number, column, row.cells[column])
                for row in table.header
                if column in row.cells
            )
            for column in table.columns
        }

    def _build_labelled_line(self, row: Row, labels: Mapping[int, str], places: Places) -> Line:
        """Build a row with a label for each value, for headers too long to repeat."""
        shown = ((column, self._shown(row.number, column, value)) for column, value in row.cells.items())
        texts = [f"{labels[c]}: {text}" if labels[c] else text for c, text in shown if text]
        return Line(row.number, " | ".join(texts), _cells(row, places))


def _places(columns: Sequence[int]) -> Places:
    return {column: place for place, column in enumerate(columns)}


def _cells(row: Row, places: Places) -> str:
    return str(Range(row.number, next(iter(places)), row.number, next(reversed(places))))
