"""Parts of a sheet written into a rendition, a line per row."""

from collections.abc import Sequence

import pytest

from cairn.library.rendition import Element
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.sheets.grid import Caption, Note, Part, Row, Table, Value
from ingestion.parse.sheets.rows import Full, RowWriter

HEADER = Row(0, {0: "City", 2: "Rate"})
BODY = (Row(1, {0: "Bonn", 2: 28}), Row(2, {2: 30}))


def written(
    parts: Sequence[Part], *, characters: int = 10_000, sheet: str | None = None
) -> tuple[Element, ...]:
    builder = RenditionBuilder(Limits(characters=characters))
    RowWriter(builder, _shown, sheet=sheet).write(parts)
    return builder.build().elements


def _shown(row: int, column: int, value: Value) -> str:
    return str(value)


def test_columns_preserve_position_and_rows_their_cells() -> None:
    (table,) = written([Table((0, 2), (HEADER,), BODY)], sheet="Rates")
    assert (table.text, table.header_rows) == ("City | Rate\nBonn | 28\n | 30", 1)
    assert (table.sheet, table.cells) == ("Rates", ("A1:C1", "A2:C2", "A3:C3"))


def test_each_block_of_a_long_table_has_the_header() -> None:
    body = [Row(n, {0: f"City {n}", 2: n}) for n in range(1, 121)]
    found = written([Table((0, 2), (HEADER,), body)])
    assert [one.text.count("\n") for one in found] == [50, 50, 20]
    assert all(one.text.startswith("City | Rate\nCity ") for one in found)
    assert [one.cells[:2] for one in found] == [
        ("A1:C1", "A2:C2"),
        ("A1:C1", "A52:C52"),
        ("A1:C1", "A102:C102"),
    ]


def test_repeated_header_row_is_read_once() -> None:
    again = Row(5, HEADER.cells)
    (table,) = written([Table((0, 2), (HEADER,), (*BODY, again))])
    assert table.text.count("City | Rate") == 1


def test_header_without_rows_is_read_as_a_row() -> None:
    (table,) = written([Table((0, 2), (HEADER,), ())])
    assert (table.text, table.header_rows) == ("City | Rate", 0)


def test_caption_opens_a_section_until_the_next_caption() -> None:
    rates, other = Row(0, {0: "Rates"}), Row(9, {0: "Others"})
    builder = RenditionBuilder(Limits())
    writer = RowWriter(builder, _shown)
    writer.write([Caption(rates, apart=False), Table((0, 2), (HEADER,), BODY)])
    writer.write([Caption(other, apart=False), Note(Row(10, {0: "A note."}))])
    assert [(one.text.split("\n")[0], one.section) for one in builder.build().elements] == [
        ("Rates", ()),
        ("City | Rate", ("Rates",)),
        ("Others", ()),
        ("A note.", ("Others",)),
    ]


def test_error_names_the_row_that_exceeds_the_limit() -> None:
    with pytest.raises(Full) as caught:
        written([Table((0, 2), (HEADER,), BODY)], characters=25)
    assert caught.value.row == 2
    with pytest.raises(Full) as caught:
        written([Note(Row(7, {0: "x" * 30}))], characters=25)
    assert caught.value.row == 7


def test_empty_columns_add_no_text() -> None:
    columns = tuple(range(16_384))
    (table,) = written([Table(columns, (), [Row(n, {0: "x"}) for n in range(40)])])
    assert table.text == "\n".join(["x"] * 40)
