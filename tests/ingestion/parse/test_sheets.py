"""Workbooks as people see them, with the cells that each line comes from."""

import io
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Element, Rendition
from ingestion.chunking.chunker import ChunkDraft, chunk
from ingestion.parse.core.limits import Limits
from ingestion.parse.sheets import workbooks
from tests.ingestion.parse.samples import sheet_of_open_document
from tests.ingestion.parse.test_json_records import outline
from tests.ingestion.parse.workbooks import raw, save, workbook

Read = Callable[..., Rendition]
RATES = (["City", "Rate"], ["Bonn", 28], ["Kiel", 30])


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def _read(content: bytes, limits: Limits | None = None) -> Rendition:
        return workbooks.parse(save(tmp_path, content), limits or Limits())

    return _read


@pytest.fixture
def refuse(read: Read) -> Callable[..., DocumentRejected]:
    def _refuse(content: bytes, reason: Rejection, limits: Limits | None = None) -> DocumentRejected:
        with pytest.raises(DocumentRejected) as caught:
            read(content, limits)
        assert caught.value.reason is reason
        return caught.value

    return _refuse


def tables(found: Rendition) -> list[Element]:
    return [one for one in found.elements if one.category == "Table"]


def words(texts: Any) -> list[int]:
    return [len(text.split()) for text in texts]


def drafts(found: Rendition) -> list[ChunkDraft]:
    return chunk(found, title="Leave", count_tokens=words, max_tokens=60)


def test_sheet_row_is_a_line_with_its_cells(read: Read) -> None:
    found = read(workbook(*RATES, title="Rates"))
    assert outline(found) == [
        ("Title", (), "Rates"),
        ("Table", ("Rates",), "City | Rate\nBonn | 28\nKiel | 30"),
    ]
    (table,) = tables(found)
    assert (table.header_rows, table.sheet, table.cells) == (1, "Rates", ("A1:B1", "A2:B2", "A3:B3"))
    assert found.report.tables == 1


def test_cell_references_are_those_of_the_sheet(read: Read) -> None:
    (table,) = tables(read(workbook([], [], [], ["", "", *RATES[0]], ["", "", *RATES[1]])))
    assert (table.text, table.cells) == ("City | Rate\nBonn | 28", ("C4:D4", "C5:D5"))


def test_every_chunk_of_a_long_sheet_has_header_and_cells(read: Read) -> None:
    rows = [[f"City {number}", number] for number in range(500)]
    found = drafts(read(workbook(RATES[0], *rows, title="Rates")))
    assert len(found) > 20
    assert all(draft.text.startswith("City | Rate\nCity ") for draft in found)
    told = {
        line: cells.cells
        for draft in found
        for line, cells in zip(draft.text.split("\n"), draft.cells, strict=True)
    }
    assert told == {
        "City | Rate": "Rates!A1:B1",
        **{f"City {number} | {number}": f"Rates!A{number + 2}:B{number + 2}" for number in range(500)},
    }


def test_sheets_are_sections_in_order(read: Read) -> None:
    def prepare(made: Any) -> None:
        made.create_sheet("Second").append(["Note", "below"])
        made.properties.title = "Rates of the year"

    found = read(workbook(*RATES, title="First", prepare=prepare))
    assert found.title == "Rates of the year"
    assert [table.section for table in tables(found)] == [("First",), ("Second",)]


def test_lines_above_a_table_are_headings_and_lines_below_are_notes(read: Read) -> None:
    rows = (["Rates of the year"], [], *RATES, ["Source: the travel office."])
    assert outline(read(workbook(*rows, title="S"))) == [
        ("Title", (), "S"),
        ("Title", ("S",), "Rates of the year"),
        ("Table", ("S", "Rates of the year"), "City | Rate\nBonn | 28\nKiel | 30"),
        ("UncategorizedText", ("S", "Rates of the year"), "Source: the travel office."),
    ]


def test_adjacent_tables_are_separate(read: Read) -> None:
    rows = (["City", "Rate", "", "City", "Rate"], ["Bonn", 28, "", "Oslo", 50], ["Kiel", 30, "", "Rome", 40])
    assert [(table.text, table.cells[0]) for table in tables(read(workbook(*rows)))] == [
        ("City | Rate\nBonn | 28\nKiel | 30", "A1:B1"),
        ("City | Rate\nOslo | 50\nRome | 40", "D1:E1"),
    ]


def test_rows_below_a_gap_continue_under_the_header(read: Read) -> None:
    first, second = tables(read(workbook(*RATES, [], ["Rome", 40], ["Oslo", 50])))
    assert second.text == "City | Rate\nRome | 40\nOslo | 50"
    assert second.cells == ("A1:B1", "A5:B5", "A6:B6")
    assert second.header_rows == first.header_rows == 1


def test_values_are_shown_as_formatted(read: Read) -> None:
    def prepare(made: Any) -> None:
        for cell, code in (("B2", "0.0%"), ("C2", '#,##0.00 "EUR"'), ("D2", "yyyy-mm-dd")):
            made.active[cell].number_format = code

    header = ["City", "Share", "Sum", "Day", "Time", "Open"]
    row = ["Bonn", 0.125, 1234.5, date(2024, 5, 1), datetime(2024, 5, 1, 8, 30), True]  # noqa: DTZ001 cells have no zone
    (table,) = tables(read(workbook(header, row, prepare=prepare)))
    assert table.text.split("\n")[1] == "Bonn | 12.5% | 1,234.50 EUR | 2024-05-01 | 2024-05-01 08:30 | TRUE"


def test_cells_that_span_rows_are_repeated(read: Read) -> None:
    def prepare(made: Any) -> None:
        made.active.merge_cells("A2:A3")

    rows = (["City", "Year", "Rate"], ["Bonn", 2023, 28], [None, 2024, 30])
    (table,) = tables(read(workbook(*rows, prepare=prepare)))
    assert table.text == "City | Year | Rate\nBonn | 2023 | 28\nBonn | 2024 | 30"


def test_hidden_sheets_are_omitted_and_hidden_rows_read_with_warnings(read: Read) -> None:
    def prepare(made: Any) -> None:
        made.active.row_dimensions[2].hidden = True
        made.active.column_dimensions["B"].hidden = True
        secret = made.create_sheet("Secret")
        secret.append(["salary", "of Ada"])
        secret.sheet_state = "hidden"

    found = read(workbook(*RATES, title="Rates", prepare=prepare))
    assert "salary" not in str(found.elements)
    assert "Bonn | 28" in tables(found)[0].text
    assert found.report.warnings == (
        "Hidden sheets were skipped: “Secret”.",
        "Sheet “Rates”: 1 hidden row and 1 hidden column included.",
    )


def test_workbook_of_hidden_sheets_has_no_text(refuse: Callable[..., DocumentRejected]) -> None:
    def prepare(made: Any) -> None:
        made.create_sheet("Empty")
        made["Secret"].sheet_state = "veryHidden"

    error = refuse(workbook(*RATES, title="Secret", prepare=prepare), Rejection.NO_TEXT)
    assert "Hidden sheets were skipped: “Secret”." in error.message


def test_formulas_show_their_results_and_missing_ones_are_reported(read: Read) -> None:
    cells = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Sum</t></is></c><c r="B1"><f>1+2</f><v>3</v></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>Later</t></is></c><c r="B2"><f>1+2</f></c></row>'
        '<row r="3"><c r="A3" t="inlineStr"><is><t>Wrong</t></is></c><c r="B3" t="e"><v>#DIV/0!</v></c></row>'
    )
    found = read(raw(cells, dimension="A1:B3"))
    assert tables(found)[0].text == "Sum | 3\nLater\nWrong"
    assert found.report.warnings == (
        "Sheet “S”: 1 formula without a stored result skipped.",
        "Sheet “S”: 1 cell with an error such as #DIV/0! skipped.",
    )


def test_distant_cells_need_little_memory(read: Read, refuse: Callable[..., DocumentRejected]) -> None:
    cell = '<row r="{row}"><c r="{column}{row}" t="inlineStr"><is><t>x</t></is></c></row>'
    far = raw(cell.format(row=1, column="A") + cell.format(row=1_048_576, column="XFD"))
    error = refuse(far, Rejection.TOO_LARGE)
    assert "spread over 1,048,576 rows and 16,384 columns" in error.message


def test_oversized_sheet_is_cut_and_reported(read: Read, refuse: Callable[..., DocumentRejected]) -> None:
    content = workbook(*RATES, *([f"City {n}", n] for n in range(1000)), title="Rates")
    found = read(content, Limits(characters=2_000))
    assert found.report.truncated
    last = found.elements[-1].cells[-1]
    cut = int(last.partition(":B")[2]) + 1
    (warning,) = found.report.warnings
    assert f"sheet “Rates” was skipped from row {cut:,} on" in warning
    refuse(workbook(["x" * 500, "y"]), Rejection.TOO_LARGE, Limits(characters=100))


def test_overlong_header_labels_each_value(read: Read) -> None:
    header = [f"A question of many words, number {number}, asked of everyone" for number in range(10)]
    (table,) = tables(read(workbook(header, [f"answer {number}" for number in range(10)])))
    assert table.header_rows == 0
    assert table.text.startswith(f"{header[0]}: answer 0 | {header[1]}: answer 1")
    assert table.cells == ("A2:J2",)


def test_empty_workbook_is_rejected_as_no_text(refuse: Callable[..., DocumentRejected]) -> None:
    refuse(workbook(), Rejection.NO_TEXT)
    refuse(workbook(["", "  "]), Rejection.NO_TEXT)


@pytest.mark.parametrize("part", [0.25, 0.5, 0.9])
def test_truncated_workbook_is_damaged(refuse: Callable[..., DocumentRejected], part: float) -> None:
    content = workbook(*RATES)
    refuse(content[: int(len(content) * part)], Rejection.DAMAGED_FILE)


@pytest.mark.parametrize(
    "cells",
    [
        '<row r="0"><c r="A0"><v>1</v></c></row>',
        '<row r="1"><c r="A1" t="s"><v>999999</v></c></row>',
        '<row r="1"><c r="ZZZZZZ9999999999"><v>1</v></c></row>',
        '<row r="1"><c r="A1" t="d"><v>99999999999999999999</v></c></row>',
        '<row r="1"><c r="A1"><v>nan</v></c><c r="B1"><v>1e999</v></c></row>',
    ],
)
def test_hostile_cells_are_read_or_rejected_with_a_reason(read: Read, cells: str) -> None:
    ends = {"ready", Rejection.DAMAGED_FILE, Rejection.NO_TEXT, Rejection.TOO_LARGE}
    assert ended(read, raw(cells)) in ends


def ended(read: Read, content: bytes) -> str:
    try:
        read(content)
    except DocumentRejected as error:
        return error.reason
    return "ready"


def test_comments_and_text_boxes_are_reported(read: Read) -> None:
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream, {"in_memory": True})
    for name, boxes in (("Rates", 2), ("More", 0)):
        sheet = made.add_worksheet(name)
        sheet.write_row(0, 0, RATES[0])
        sheet.write_comment("B1", "Until June.")
        for place in range(boxes):
            sheet.insert_textbox(5 + place, 5, "Without tax.")
    made.close()
    assert read(stream.getvalue()).report.warnings == (
        "2 comments were skipped.",
        "2 text boxes were skipped.",
    )


def test_open_document_sheets_are_read_alike(read: Read) -> None:
    (table,) = tables(read(sheet_of_open_document(["City", "Rate"], ["Bonn", "28"])))
    assert (table.text, table.sheet, table.cells) == ("City | Rate\nBonn | 28", "Leave", ("A1:B1", "A2:B2"))
