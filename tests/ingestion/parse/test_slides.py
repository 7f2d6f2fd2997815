import base64
import io
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse.core.limits import Limits
from ingestion.parse.office import slides
from tests.ingestion.parse.test_json_records import outline
from tests.ingestion.parse.workbooks import archive, save

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
TITLE_AND_CONTENT, TITLE_ONLY, BLANK = 1, 5, 6
Build = Callable[[Any], object]


def made(*build: Build) -> bytes:
    """A presentation that each of `build` adds something to."""
    presentation = Presentation()
    for one in build:
        one(presentation)
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


def slide(presentation: Any, title: str = "", layout: int = TITLE_ONLY) -> Any:
    added = presentation.slides.add_slide(presentation.slide_layouts[layout])
    if title:
        added.shapes.title.text = title
    return added


def box(on: Any, text: str, left: float = 1, top: float = 5) -> Any:
    shape = on.shapes.add_textbox(Cm(left), Cm(top), Cm(5), Cm(1))
    shape.text_frame.text = text
    return shape


def table(on: Any, *rows: list[str]) -> Any:
    frame = on.shapes.add_table(len(rows), len(rows[0]), Cm(1), Cm(5), Cm(10), Cm(5))
    for place, row in enumerate(rows):
        for column, text in enumerate(row):
            frame.table.cell(place, column).text = text
    return frame.table


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Rendition]:
    def _read(*build: Build, limits: Limits | None = None) -> Rendition:
        return slides.parse(save(tmp_path, made(*build)), limits or Limits())

    return _read


Read = Callable[..., Rendition]


def test_slide_is_a_page_and_its_title_a_section(read: Read) -> None:
    def build(presentation: Any) -> None:
        box(slide(presentation, "Leave"), "Ask first.")
        box(slide(presentation, "Travel"), "Book early.")

    found = read(build)
    assert (found.title, found.pages) == ("Leave", 2)
    assert [(one.page, one.section, one.text) for one in found.elements] == [
        (1, (), "Leave"),
        (1, ("Leave",), "Ask first."),
        (2, (), "Travel"),
        (2, ("Travel",), "Book early."),
    ]


def test_slide_without_a_title_is_named_by_number(read: Read) -> None:
    found = read(lambda one: slide(one, "Leave"), lambda one: box(slide(one, layout=BLANK), "Ask first."))
    assert found.elements[-1].section == ("Slide 2",)


def test_presentation_title_is_used_unless_it_is_a_default(read: Read) -> None:
    def named(title: str) -> Build:
        return lambda presentation: setattr(presentation.core_properties, "title", title)

    content: Build = lambda presentation: slide(presentation, "Leave")  # noqa: E731
    assert read(content, named("Rules of leave")).title == "Rules of leave"
    assert read(content, named("PowerPoint Presentation")).title == "Leave"


def test_bullet_points_are_list_items_and_a_single_paragraph_is_text(read: Read) -> None:
    def build(presentation: Any) -> None:
        first = slide(presentation, "One", TITLE_AND_CONTENT)
        first.placeholders[1].text_frame.text = "A sentence."
        second = slide(presentation, "Two", TITLE_AND_CONTENT)
        second.placeholders[1].text_frame.text = "first\nsecond"

    kinds = {one.text: one.category for one in read(build).elements}
    assert kinds["A sentence."] == "UncategorizedText"
    assert (kinds["first"], kinds["second"]) == ("ListItem", "ListItem")


def test_shapes_are_read_in_reading_order(read: Read) -> None:
    def build(presentation: Any) -> None:
        on = slide(presentation, "Order")
        box(on, "below", left=1, top=9)
        box(on, "right", left=12, top=5.1)
        box(on, "left", left=1, top=5)
        group = on.shapes.add_group_shape()
        box(group, "in a group", left=1, top=12)

    assert [one.text for one in read(build).elements[1:]] == ["left", "right", "below", "in a group"]


def test_slide_notes_have_a_section_of_their_slide(read: Read) -> None:
    def build(presentation: Any) -> None:
        slide(presentation, "Leave").notes_slide.notes_text_frame.text = "Say it slowly."

    last = read(build).elements[-1]
    assert (last.text, last.section, last.page) == ("Say it slowly.", ("Leave", "Notes"), 1)


def versions(shape: Any, *, known: str, others: str) -> None:
    """Replace the shape by two versions: one for programs that support it, and a fallback."""
    shape = shape._element
    parent = shape.getparent()
    mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    both = etree.Element(f"{{{mc}}}AlternateContent")
    for name in ("Choice", "Fallback"):
        etree.SubElement(both, f"{{{mc}}}{name}")
    parent.replace(shape, both)
    for place, text in enumerate((known, others)):
        copied = deepcopy(shape)
        next(copied.iter(f"{{{DRAWING}}}t")).text = text
        both[place].append(copied)


@pytest.mark.parametrize(
    ("known", "others", "shown"),
    [("42 volts", "42 V", "42 volts"), ("42 volts", "", "42 volts"), ("", "42 V", "42 V")],
)
@pytest.mark.parametrize("in_group", [False, True])
def test_one_alternate_version_of_a_shape_is_read(
    read: Read, known: str, others: str, shown: str, *, in_group: bool
) -> None:
    def build(presentation: Any) -> None:
        on = slide(presentation, "Limits")
        versions(box(on.shapes.add_group_shape() if in_group else on, "x"), known=known, others=others)

    assert [one.text for one in read(build).elements] == ["Limits", shown]


def test_slide_table_has_its_header_and_row_spans(read: Read) -> None:
    def build(presentation: Any) -> None:
        made = table(
            slide(presentation, "Rates"), ["City", "Year", "Rate"], ["Bonn", "2023", "28"], ["", "2024", "30"]
        )
        made.cell(1, 0).merge(made.cell(2, 0))

    found = read(build)
    (rates,) = [one for one in found.elements if one.category == "Table"]
    assert (rates.text, rates.header_rows) == ("City | Year | Rate\nBonn | 2023 | 28\nBonn | 2024 | 30", 1)
    assert found.report.tables == 1


@pytest.mark.parametrize(
    ("rows", "first_row", "says_more", "header"),
    [
        ([["City", "Rate"], ["Bonn", "28"]], True, True, 1),
        ([["City", "Rate"], ["Bonn", "28"]], False, True, 0),
        ([["City", "Rate"], ["Bonn", "28"]], False, False, 1),
        ([["2023", "27"], ["2024", "28"]], False, False, 0),
    ],
)
def test_slide_table_header_is_declared_or_guessed(
    read: Read, rows: list[list[str]], first_row: bool, says_more: bool, header: int
) -> None:
    """Only PowerPoint declares header rows; exports of other programs don't."""

    def build(presentation: Any) -> None:
        made = table(slide(presentation, "Rates"), *rows)
        made.first_row, made.horz_banding = first_row, says_more

    assert read(build).elements[-1].header_rows == header


def test_chart_is_a_table_of_its_figures(read: Read) -> None:
    def build(presentation: Any) -> None:
        data = CategoryChartData(number_format="0%")
        data.categories = ["2023", "2024"]
        data.add_series("Share", (0.25, 0.5))
        place = (Cm(1), Cm(5), Cm(10), Cm(8))
        frame = slide(presentation, "Trend").shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
        frame.chart.has_title = True
        frame.chart.chart_title.text_frame.text = "Remote work"

    assert outline(read(build))[1:] == [
        ("UncategorizedText", ("Trend",), "Remote work"),
        ("Table", ("Trend",), " | Share\n2023 | 25%\n2024 | 50%"),
    ]


def test_footers_dates_and_repeated_text_are_omitted(read: Read) -> None:
    def build(presentation: Any) -> None:
        for number in range(5):
            on = slide(presentation, f"Slide on {number}")
            box(on, "Cairn Inc., confidential", top=17)
            box(on, f"Point {number}")
        on = slide(presentation, "Last")
        box(on, "Cairn Inc., confidential", top=3)

    texts = [one.text for one in read(build).elements]
    assert texts.count("Cairn Inc., confidential") == 1
    assert "Point 4" in texts


def test_unread_slide_parts_are_reported(read: Read) -> None:
    def build(presentation: Any) -> None:
        on = slide(presentation, "Hidden")
        on.shapes.add_picture(io.BytesIO(PIXEL), 0, 0)
        on._element.set("show", "0")
        slide(presentation, layout=BLANK)

    report = read(build).report
    assert report.pages_without_text == (2,)
    assert report.warnings == ("Hidden slides were included: 1.", "1 image was skipped.")


def test_too_many_slides_are_refused(read: Read) -> None:
    with pytest.raises(DocumentRejected) as caught:
        read(*[lambda one: slide(one, "x")] * 3, limits=Limits(pages=2))
    assert caught.value.reason is Rejection.TOO_MANY_PAGES


def test_slides_without_text_are_rejected(read: Read) -> None:
    with pytest.raises(DocumentRejected) as caught:
        read(lambda one: slide(one, layout=BLANK))
    assert caught.value.reason is Rejection.NO_TEXT


@pytest.mark.parametrize("name", ["ppt/slides/slide1.xml", "ppt/presentation.xml", "[Content_Types].xml"])
def test_broken_parts_are_damage(tmp_path: Path, name: str) -> None:
    members = _members(made(lambda one: slide(one, "x")))
    path = save(tmp_path, archive({**members, name: members[name][:40]}))
    with pytest.raises(DocumentRejected) as caught:
        slides.parse(path, Limits())
    assert caught.value.reason is Rejection.DAMAGED_FILE


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}
