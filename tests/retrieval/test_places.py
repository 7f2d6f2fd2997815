import uuid
from datetime import UTC, datetime

import pytest

from cairn.library.cell_ranges import CellLine
from cairn.library.rendition import Element
from retrieval.passages import locations
from retrieval.types import Hit, Location, Scores

TOP, MIDDLE, NEXT = (0.1, 0.1, 0.9, 0.2), (0.1, 0.4, 0.9, 0.5), (0.1, 0.1, 0.9, 0.3)
ELEMENTS = (
    Element(0, "NarrativeText", "The office opens at nine.", page=1, boxes=(TOP,)),
    Element(1, "NarrativeText", "It closes at five.", page=1, boxes=(MIDDLE,)),
    Element(2, "NarrativeText", "The permit is signed\nby the head of facilities.", page=2, boxes=(NEXT,)),
)


@pytest.fixture(autouse=True)
def _rendition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "_elements", lambda version: ELEMENTS)


PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


def hit(page: int | None = 1, text: str = "", media_type: str = "", cells: tuple[CellLine, ...] = ()) -> Hit:
    nobody = uuid.uuid4()
    return Hit(
        nobody, nobody, nobody, nobody, "t", "", (), page, 0, text, (0, 1, 2), Scores(1, 1, 1),
        datetime.now(UTC), media_type, cells,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("quote", "page", "boxes"),
    [
        ("The office opens at nine.", 1, (TOP,)),
        ("closes at five", 1, (MIDDLE,)),
        ("The permit is signed by the head", 2, (NEXT,)),
        ("It closes at five.\n\nThe permit is signed by the head of facilities.", 2, (NEXT,)),
        ("The office opens at nine.\n\nIt closes at five.", 1, (TOP, MIDDLE)),
        ("words that stand nowhere", 1, (TOP, MIDDLE)),
    ],
)
def test_quote_is_located_on_its_page(quote: str, page: int, boxes: object) -> None:
    assert locations.locate_quote(hit(), quote) == Location(page, boxes, f"page {page}")


def test_slide_location_is_labelled() -> None:
    assert locations.locate_quote(hit(media_type=PPTX), "The permit is signed by").location == "slide 2"
    assert locations.location_of("application/vnd.ms-powerpoint", 3, ()) == "slide 3"


def test_formats_without_pages_have_no_place() -> None:
    assert locations.locate_quote(hit(page=None), "The office opens at nine.") == Location()


ROWS = "City | Rate\nBonn | 28\nKiel | 30\n\nBonn | 28\n\nA note."
CELLS = (
    CellLine("Rates!A1:B1", is_header=True),
    CellLine("Rates!A2:B2"),
    CellLine("Rates!A3:B3"),
    CellLine(""),
    CellLine("Rates!D9:E9"),
    CellLine(""),
    CellLine("Rates!A12"),
)


@pytest.mark.parametrize(
    ("quote", "location"),
    [
        ("Kiel | 30", "Rates!A3:B3"),
        ("iel | 3", "Rates!A3:B3"),
        ("Bonn | 28\nKiel | 30", "Rates!A2:B3"),
        ("City | Rate\nBonn | 28", "Rates!A2:B2"),
        ("City | Rate", "Rates!A1:B1"),
        ("Kiel | 30\n\nBonn | 28", "Rates!A3:B3, D9:E9"),
        ("words that stand nowhere", "Rates!A2:B3, D9:E9, A12"),
    ],
)
def test_quote_in_a_sheet_is_located_by_cells(quote: str, location: str) -> None:
    assert locations.locate_quote(hit(None, ROWS, cells=CELLS), quote) == Location(location=location)


def test_many_cell_ranges_are_merged() -> None:
    lines = tuple(CellLine(f"A{row}:C{row}") for row in (1, 3, 5, 7))
    assert locations.location_of("text/csv", None, lines) == "rows 1-7 (A1:C7)"


@pytest.mark.parametrize(
    ("lines", "location"),
    [
        (("A5:C5",), "row 5 (A5:C5)"),
        (("A5:C5", "A6:C6"), "rows 5-6 (A5:C6)"),
        (("A5:C5", "A7:C7"), "rows 5, 7 (A5:C5, A7:C7)"),
    ],
)
def test_table_without_sheets_is_located_by_rows(lines: tuple[str, ...], location: str) -> None:
    assert locations.location_of("text/csv", None, tuple(map(CellLine, lines))) == location
