"""Layout in the XML of a sheet: merged and hidden cells, widths and areas."""

from pathlib import Path

import pytest

from ingestion.parse.sheets.number_formats import format_value
from ingestion.parse.sheets.sheet_layout import Layouts, SheetLayout
from tests.ingestion.parse.workbooks import raw, save

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="0.0&quot; kg&quot;"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="9"/></cellXfs></styleSheet>'
)


def layout(folder: Path, cells: str, **more: str) -> SheetLayout:
    members = {name.replace("__", "/").replace("_", "."): content for name, content in more.items()}
    return Layouts(save(folder, raw(cells, more=members))).of("S")


def test_sheet_area_is_measured_from_the_cells(tmp_path: Path) -> None:
    found = layout(tmp_path, '<row r="2"><c r="B2"/></row><row r="40"><c r="AA40"><v>1</v></c></row>')
    assert (found.rows, found.columns) == (40, 27)


def test_cells_have_their_number_format(tmp_path: Path) -> None:
    cells = (
        '<row r="3"><c r="A3" s="1"><v>2.5</v></c><c r="B3" s="2"/><c r="C3" s="0"/><c r="D3" s="99"/></row>'
    )
    found = layout(tmp_path, cells, xl__styles_xml=STYLES)
    assert format_value(2.5, found.format_of(2, 0)) == "2.5 kg"
    assert format_value(0.5, found.format_of(2, 1)) == "50%"
    assert [found.format_of(2, column) for column in (2, 3, 4)] == [None] * 3
    assert found.format_of(7, 0) is None


def test_equal_rows_share_their_formats(tmp_path: Path) -> None:
    cells = "".join(f'<row r="{n}"><c r="A{n}" s="1"/></row>' for n in range(1, 1000))
    formats = layout(tmp_path, cells, xl__styles_xml=STYLES).formats
    assert len(formats) == 999
    assert len({id(row) for row in formats.values()}) == 1


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ('<row r="1" hidden="1"><c r="A1"/></row><row r="2" hidden="0"><c r="A2"/></row>', (1, 0, 0, 0)),
        ('<row hidden="true" r="1"><c r="A1"/></row>', (1, 0, 0, 0)),
        ('<row r="1"><c r="A1" t="e"><v>#N/A</v></c></row>', (0, 0, 1, 0)),
        ('<row r="1"><c r="A1"><f>B1</f></c><c r="B1"><f>A1</f><v></v></c></row>', (0, 0, 0, 2)),
        ('<row r="1"><c r="A1"><f>B1</f><v>0</v></c></row>', (0, 0, 0, 0)),
        ('<row r="1"><c r="A1" t="str"><f>""</f><v></v></c></row>', (0, 0, 0, 0)),
    ],
)
def test_hidden_erroneous_and_missing_cells_are_counted(
    tmp_path: Path, cells: str, told: tuple[int, int, int, int]
) -> None:
    found = layout(tmp_path, cells)
    assert (found.hidden_rows, found.hidden_columns, found.errors, found.uncomputed) == told


def test_hidden_columns_count_only_as_far_as_cells(tmp_path: Path) -> None:
    sheet = (
        f'<worksheet xmlns="{MAIN}"><cols><col min="2" max="16384" hidden="1"/></cols>'
        '<sheetData><row r="1"><c r="A1"/><c r="D1"/></row></sheetData></worksheet>'
    )
    assert layout(tmp_path, "", xl__worksheets__sheet1_xml=sheet).hidden_columns == 3


def test_tags_may_have_a_prefix(tmp_path: Path) -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row r="5" hidden="1"><x:c r="C5" t="e"/></x:row>'
        "</x:sheetData></x:worksheet>"
    )
    found = layout(tmp_path, "", xl__worksheets__sheet1_xml=sheet)
    assert (found.rows, found.columns, found.hidden_rows, found.errors) == (5, 3, 1, 1)


@pytest.mark.parametrize("content", ["no workbook at all", "<", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_broken_layout_parts_are_ignored(tmp_path: Path, content: str) -> None:
    assert layout(tmp_path, "", xl__workbook_xml=content) == SheetLayout()
    (tmp_path / "none").write_text(content)
    assert Layouts(tmp_path / "none").of("S") == SheetLayout()


def test_large_sheet_is_counted_once(tmp_path: Path) -> None:
    cells = "".join(
        f'<row r="{n}" hidden="1"><c r="A{n}" t="e"><v>#N/A</v></c><c r="B{n}"><v>{"1" * 60}</v></c></row>'
        for n in range(1, 30_001)
    )
    found = layout(tmp_path, cells)
    assert (found.rows, found.hidden_rows, found.errors) == (30_000, 30_000, 30_000)


def test_unterminated_tags_are_read_quickly(tmp_path: Path) -> None:
    assert layout(tmp_path, '<row r="1"><c ' + "<c <f" * 400_000 + '"') == SheetLayout()
