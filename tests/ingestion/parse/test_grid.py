"""Detection of tables in a sheet, and of their header rows."""

from datetime import date

import pytest

from ingestion.parse.sheets.grid import Caption, Note, Part, Reader, Row, Table, Value, bands, header_rows


def rows(*lines: list[Value | None]) -> list[Row]:
    """An empty list is an empty row, None an empty cell."""
    found = [Row(n, {c: v for c, v in enumerate(line) if v is not None}) for n, line in enumerate(lines)]
    return [row for row in found if row.cells]


def parts(*lines: list[Value | None], side_by_side: bool = True) -> list[Part]:
    reader = Reader(side_by_side=side_by_side)
    return [part for band in bands(rows(*lines)) for part in reader.parts(band)]


def outline(found: list[Part]) -> list[str]:
    """Such as `table 1-2/3-9`: rows of the header, rows of the body, both counted from 1."""
    return [_told(part) for part in found]


def _told(part: Part) -> str:
    match part:
        case Caption(row):
            return f"caption {row.number + 1}"
        case Note(row):
            return f"note {row.number + 1}"
        case Table(_, header, body, goes_on):
            return f"table {_span(header)}/{_span(body)}{' goes on' if goes_on else ''}"


def _span(found: object) -> str:
    numbers = [row.number + 1 for row in found]  # type: ignore[attr-defined]
    return f"{numbers[0]}-{numbers[-1]}" if numbers else "none"


A, B = ["City", "Rate"], ["Bonn", 28]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([A, B, B], ["table 1-1/2-3"]),
        ([B, ["Kiel", 30]], ["table none/1-2"]),
        ([["Rates"], A, B], ["caption 1", "table 2-2/3-3"]),
        ([["Rates"], [], A, B], ["caption 1", "table 3-3/4-4"]),
        ([["Rates"], [], [], A, B], ["caption 1", "table 4-4/5-5"]),
        ([["Rates"], [], [], [], A, B], ["note 1", "table 5-5/6-6"]),
        ([["Rates"], ["of 2024"], A, B], ["caption 1", "caption 2", "table 3-3/4-4"]),
        ([A, B, ["* without breakfast"]], ["table 1-1/2-2", "note 3"]),
        ([A, B, ["Total"]], ["table 1-1/2-3"]),
        ([A, B, [], ["Kiel", 30]], ["table 1-1/2-2", "table 1-1/4-4 goes on"]),
        ([A, B, [], ["Name", "Room"], ["Ada", 7]], ["table 1-1/2-2", "table 4-4/5-5"]),
        ([["a sentence"], ["and another"]], ["note 1", "note 2"]),
        ([["City"], ["Bonn"], ["Kiel"], ["Rome"]], ["table 1-1/2-4"]),
        ([["City"], [1], [2], [3]], ["table 1-1/2-4"]),
        ([[None, "2023", "2024"], ["Bonn", 27, 28]], ["table none/1-2"]),
        ([["City", 2023, 2024], ["Bonn", 27, 28]], ["table 1-1/2-2"]),
        ([["City", date(2024, 5, 1)], ["Bonn", 27]], ["table 1-1/2-2"]),
        ([["Name:", "Ada"], ["Room:", 7]], ["table none/1-2"]),
        ([["City", "Rate", None], [None, "EUR", "USD"], ["Bonn", 27, 30]], ["table 1-2/3-3"]),
        ([], []),
    ],
)
def test_sheet_is_split_into_tables(lines: list[list[Value | None]], expected: list[str]) -> None:
    assert outline(parts(*lines)) == expected


def test_adjacent_tables_are_read_in_sequence() -> None:
    left, right = parts(
        [*A, None, "Name", "Room"], [*B, None, "Ada", 7], ["Kiel", 30, None, "Bo", 8], ["Oslo", 50]
    )
    assert isinstance(left, Table)
    assert isinstance(right, Table)
    assert (left.columns, right.columns) == ((0, 1), (3, 4))
    assert (len(left.body), len(right.body)) == (3, 2)


def test_remarks_behind_a_gap_belong_to_the_table() -> None:
    (table,) = parts([*A, None, "Remark"], [*B, None, "from May"], ["Kiel", 30, None, "from June"])
    assert isinstance(table, Table)
    assert table.columns == (0, 1, 3)


def test_delimited_file_is_one_table_despite_empty_columns() -> None:
    lines = ([*A, None, *A], [*B, None, *B], [*B, None, *B])
    assert len(parts(*lines)) == 2
    assert len(parts(*lines, side_by_side=False)) == 1


def test_only_column_names_are_a_header() -> None:
    sentence = "A whole sentence about the rates in Bonn and elsewhere."
    assert header_rows((0, 1), rows([sentence, "x"], B)) == 0
    assert header_rows((0, 1, 2, 3, 4), rows(["City"], [1, 2, 3, 4, 5])) == 0
    assert header_rows((0, 1), rows(A)) == 0


@pytest.mark.parametrize(("beside", "tables"), [(3, 3), (60, 1)])
def test_very_many_adjacent_tables_are_read_as_one(beside: int, tables: int) -> None:
    """Comparing every pair would take too long."""
    lines = ([*A, None] * beside, [*B, None] * beside, ["Kiel", 30, None] * beside)
    assert len(parts(*lines)) == tables
