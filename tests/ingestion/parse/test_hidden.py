"""Invisible characters are removed from all text, and the report counts them."""

import pytest

from tests.ingestion.parse.conftest import Read
from tests.ingestion.parse.workbooks import workbook

TAGS = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")


def _told(warnings: tuple[str, ...]) -> list[str]:
    return [warning for warning in warnings if "invisible character" in warning]


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html"])
def test_hidden_characters_are_removed_and_counted(read: Read, name: str) -> None:
    found = read(f"A pass\u200bword{TAGS} must be changed each month, says \u202ethe office.", name)
    assert [element.text for element in found.elements] == [
        "A password must be changed each month, says the office."
    ]
    assert _told(found.report.warnings)[0].startswith("6 invisible characters")


def test_titles_sections_and_properties_have_no_hidden_characters(read: Read) -> None:
    found = read(f"---\ntitle: Le{TAGS}ave\nauthor: A\u200bda\n---\n# Ru\u202eles\n\ntext of it", "a.md")
    assert found.title == "Leave"
    assert found.elements[-1].section == ("Rules",)
    assert TAGS not in str(found.as_json())
    assert "\u200b" not in str(found.properties)


def test_byte_order_mark_is_not_reported_as_hidden_text(read: Read) -> None:
    assert _told(read("\ufeffSome words of a text.", "a.txt").report.warnings) == []


def test_required_joiners_are_preserved(read: Read) -> None:
    found = read("می\u200cخواهم \U0001f469\u200d\u2695\ufe0f", "a.txt")  # noqa: RUF001
    assert found.elements[0].text == "می\u200cخواهم \U0001f469\u200d\u2695\ufe0f"  # noqa: RUF001
    assert _told(found.report.warnings) == []


def test_cells_stay_aligned_with_lines(read: Read) -> None:
    rows: list[list[object]] = [["Level", "Days"], [f"Jun{TAGS}ior", 20], ["\u200b", None], ["Senior", 26]]
    found = read(workbook(*rows), "a.xlsx")
    (table,) = [element for element in found.elements if element.category == "Table"]
    lines = table.text.split("\n")
    assert len(lines) == len(table.cells)
    assert dict(zip(lines, table.cells, strict=True))["Junior | 20"] == "A2:B2"
    assert dict(zip(lines, table.cells, strict=True))["Senior | 26"] == "A4:B4"
