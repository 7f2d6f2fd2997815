import pytest

from cairn.library.cell_ranges import CellLine, Range, column_name, column_number, merge_ranges, on_sheet


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (16383, "XFD")])
def test_columns_have_names(number: int, name: str) -> None:
    assert (column_name(number), column_number(name)) == (name, number)


@pytest.mark.parametrize(
    "text", ["A1", "A5:D7", "Sheet1!B2", "'My sheet'!A1:B2", "'It''s'!C3", "'Q1'!A1", "Übersicht!A1"]
)
def test_range_is_formatted_as_parsed(text: str) -> None:
    assert str(Range.parse(text)) == text


def test_range_indexes_start_at_zero() -> None:
    assert Range.parse("'My sheet'!B3:D9") == Range(2, 1, 8, 3, "My sheet")


@pytest.mark.parametrize("text", ["", "5", "A", "a1", "A1:", "Sheet1!"])
def test_invalid_range_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        Range.parse(text)


def test_names_that_could_be_cells_are_quoted() -> None:
    assert [on_sheet(name, "A1") for name in ("Rates", "R1", "My sheet", None)] == [
        "Rates!A1",
        "'R1'!A1",
        "'My sheet'!A1",
        "A1",
    ]


@pytest.mark.parametrize(
    ("ranges", "together"),
    [
        (["A1:C1", "A2:C2", "A3:C3"], ["A1:C3"]),
        (["A1:C1", "A3:C3"], ["A1:C1", "A3:C3"]),
        (["A1:B1", "D2:E2"], ["A1:B1", "D2:E2"]),
        (["A1:B1", "B2:D2"], ["A1:D2"]),
        (["X!A1", "Y!A2"], ["X!A1", "Y!A2"]),
        (["A5:C5", "A4:C4"], ["A5:C5", "A4:C4"]),
        ([], []),
    ],
)
def test_ranges_below_each_other_are_merged(ranges: list[str], together: list[str]) -> None:
    assert list(map(str, merge_ranges([Range.parse(one) for one in ranges]))) == together


def test_lines_survive_json() -> None:
    lines = (CellLine("A1:B1", is_header=True), CellLine(""))
    assert CellLine.all_from_json([line.as_json() for line in lines]) == lines
