"""Cells of a sheet by name: columns, ranges, and what several ranges are together."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_RANGE: Final = re.compile(r"(?:(?P<sheet>.+)!)?([A-Z]+)(\d+)(?::([A-Z]+)(\d+))?", re.DOTALL)
_PLAIN_NAME: Final = re.compile(r"(?![A-Za-z]{1,3}\d+$)[^\W\d]\w*")  # not one that reads as a cell


@dataclass(frozen=True, slots=True)
class Range:
    """Rows and columns count from 0 and are both inclusive. `sheet` is "" where there is but one."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int
    sheet: str = ""

    def __str__(self) -> str:
        first = f"{column_name(self.first_column)}{self.first_row + 1}"
        last = f"{column_name(self.last_column)}{self.last_row + 1}"
        area = first if first == last else f"{first}:{last}"
        return on_sheet(self.sheet, area)

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Raises ValueError."""
        if not (found := _RANGE.fullmatch(text)):
            raise ValueError(text)
        sheet, column, row, last_column, last_row = found.groups()
        return cls(
            int(row) - 1,
            column_number(column),
            int(last_row or row) - 1,
            column_number(last_column or column),
            _unquote_sheet(sheet or ""),
        )

    def continues(self, above: "Range") -> bool:
        """Stands right below, in some of the same columns."""
        return (
            self.sheet == above.sheet
            and above.first_row <= self.first_row <= above.last_row + 1
            and self.first_column <= above.last_column
            and above.first_column <= self.last_column
        )

    def join(self, other: "Range") -> "Range":
        return Range(
            min(self.first_row, other.first_row),
            min(self.first_column, other.first_column),
            max(self.last_row, other.last_row),
            max(self.last_column, other.last_column),
            self.sheet,
        )


@dataclass(frozen=True, slots=True)
class CellLine:
    """Source of a line of text: a range such as `Sheet1!A5:D5`, "" for none."""

    cells: str
    is_header: bool = False

    @classmethod
    def all_from_json(cls, data: Sequence[Any]) -> "tuple[CellLine, ...]":
        return tuple(cls(str(cells), bool(is_header)) for cells, is_header in data)

    def as_json(self) -> list[Any]:
        return [self.cells, self.is_header]


def merge_ranges(ranges: Sequence[Range]) -> Iterator[Range]:
    """Merge ranges that follow each other in reading order."""
    current: Range | None = None
    for one in ranges:
        if current is not None and one.continues(current):
            current = current.join(one)
            continue
        if current is not None:
            yield current
        current = one
    if current is not None:
        yield current


def on_sheet(sheet: str | None, cells: str) -> str:
    """Prefix a range with its sheet, as in a spreadsheet formula."""
    return f"{_quote_sheet(sheet)}!{cells}" if sheet else cells


def column_name(number: int) -> str:
    """0 is A, 25 is Z, 26 is AA."""
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def column_number(name: str) -> int:
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _quote_sheet(sheet: str) -> str:
    return sheet if _PLAIN_NAME.fullmatch(sheet) else "'" + sheet.replace("'", "''") + "'"


def _unquote_sheet(sheet: str) -> str:
    return sheet[1:-1].replace("''", "'") if sheet.startswith("'") else sheet
