from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse.core.limits import Limits
from ingestion.parse.pdf import page_renderer, pdf_document

Build = Callable[[FPDF], object]
LOREM = "The committee meets on the first Monday of every month and decides on all open requests. "


def made(path: Path, build: Build, *, text: bool = True) -> Path:
    document = FPDF(unit="pt", format=(600, 800))
    document.set_margin(60)
    document.set_auto_page_break(True, 60)
    document.set_font("helvetica", size=11)
    if text:
        document.add_page()
    build(document)
    document.output(str(path))
    return path


def line(document: FPDF, text: str, *, size: int = 11, bold: bool = False) -> None:
    document.set_font("helvetica", "B" if bold else "", size)
    document.multi_cell(0, size * 1.2, text, new_x="LMARGIN", new_y="NEXT")
    document.ln(size * 0.8)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Build], Rendition]:
    return lambda build: pdf_document.parse(made(tmp_path / "a.pdf", build), Limits())


def reason(path: Path, **limits: int) -> Rejection:
    with pytest.raises(DocumentRejected) as caught:
        pdf_document.parse(path, Limits(**limits))
    return caught.value.reason


def test_larger_and_bolder_lines_open_sections(read: Callable[[Build], Rendition]) -> None:
    def build(document: FPDF) -> None:
        line(document, "Travel policy", size=22)
        line(document, "Booking", bold=True)
        line(document, LOREM * 4)
        line(document, "Paying back", bold=True)
        line(document, LOREM * 2)

    found = read(build).elements
    assert [(element.category, element.section) for element in found] == [
        ("Title", ()),
        ("Title", ("Travel policy",)),
        ("NarrativeText", ("Travel policy", "Booking")),
        ("Title", ("Travel policy",)),
        ("NarrativeText", ("Travel policy", "Paying back")),
    ]
    assert found[2].text == (LOREM * 4).strip()


def test_boxes_match_line_positions(read: Callable[[Build], Rendition]) -> None:
    def build(document: FPDF) -> None:
        document.text(60, 200, "Here it stands.")

    (element,) = read(build).elements
    ((left, top, right, bottom),) = element.boxes
    assert (left, right) == (pytest.approx(0.1, abs=0.01), pytest.approx(0.23, abs=0.02))
    assert top < 0.25 <= bottom < 0.27
    assert element.page == 1


def test_boxes_follow_the_rotation_and_crop_of_the_page(tmp_path: Path) -> None:
    path = made(tmp_path / "a.pdf", lambda document: document.text(60, 200, "Here it stands."))
    document = pypdfium2.PdfDocument(path)
    document[0].set_cropbox(0, 400, 300, 800)
    document[0].set_rotation(180)
    document.save(tmp_path / "b.pdf")
    document.close()
    ((left, top, right, bottom),) = pdf_document.parse(tmp_path / "b.pdf", Limits()).elements[0].boxes
    assert (left, right) == (pytest.approx(1 - 131 / 300, abs=0.01), pytest.approx(1 - 60 / 300, abs=0.01))
    assert top < 1 - 195 / 400 < bottom


def test_hyphenated_word_is_rejoined(read: Callable[[Build], Rendition]) -> None:
    def build(document: FPDF) -> None:
        document.text(60, 100, "The depart-")
        document.text(60, 113, "ment pays one-time costs, and one-")
        document.text(60, 126, "time costs only.")

    assert read(build).elements[0].text == "The department pays one-time costs, and one-time costs only."


def test_aligned_figures_are_a_table_with_its_header(read: Callable[[Build], Rendition]) -> None:
    def build(document: FPDF) -> None:
        rows = [
            ("", "2022", "2023"),
            ("Net sales", "$ 56,455", "$ 56,981"),
            ("Costs", "(472)", "(823)"),
            ("Profit", "1", "2"),
        ]
        for place, row in enumerate(rows):
            for x, cell in zip((60, 300, 400), row, strict=True):
                document.text(x, 100 + 14 * place, cell)

    (table,) = read(build).elements
    assert (table.category, table.header_rows) == ("Table", 1)
    assert (
        table.text == " | 2022 | 2023\nNet sales | $ 56,455 | $ 56,981\nCosts | (472) | (823)\nProfit | 1 | 2"
    )
    assert len(table.boxes) == 4


def test_bullets_are_items(read: Callable[[Build], Rendition]) -> None:
    def build(document: FPDF) -> None:
        for place, text in enumerate(("- first thing to do", "- second thing")):
            document.text(60, 100 + 14 * place, text)

    assert [(element.category, element.text) for element in read(build).elements] == [
        ("ListItem", "first thing to do"),
        ("ListItem", "second thing"),
    ]


def form(path: Path, *, value: str = "Ada Byron", drawn: bool = True) -> Path:
    """Return a PDF with a text field whose value is only in the field; viewers draw it if it isn't drawn."""
    font = "<</Font<</F 7 0 R>>>>"
    shown = f"/Tx BMC q BT /F 12 Tf 2 4 Td ({value}) Tj ET Q EMC"
    page = "BT /F 12 Tf 50 304 Td (Applicant:) Tj ET"
    shape = "/AP<</N 6 0 R>>" if drawn else ""
    box = f"<</Type/XObject/Subtype/Form/BBox[0 0 110 20]/Resources{font}/Length {len(shown)}>>"
    needed = "" if drawn else "/NeedAppearances true"
    objects = (
        f"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]/DA(/F 12 Tf 0 g)/DR{font}{needed}>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 300 400]>>",
        f"<</Type/Page/Parent 2 0 R/Resources{font}/Contents 4 0 R/Annots[5 0 R]>>",
        f"<</Length {len(page)}>>stream\n{page}\nendstream",
        f"<</Subtype/Widget/FT/Tx/T(name)/V({value})/F 4/Rect[120 300 230 320]/DA(/F 12 Tf 0 g){shape}>>",
        f"{box}stream\n{shown}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    body = "\n".join(f"{number} 0 obj\n{one}\nendobj" for number, one in enumerate(objects, 1))
    path.write_text(f"%PDF-1.7\n{body}\ntrailer<</Root 1 0 R>>\n%%EOF")
    return path


@pytest.mark.parametrize("drawn", [True, False])
def test_filled_form_values_are_read_in_place(tmp_path: Path, *, drawn: bool) -> None:
    (element,) = pdf_document.parse(form(tmp_path / "a.pdf", drawn=drawn), Limits()).elements
    assert element.text == "Applicant: Ada Byron"
    ((left, top, right, bottom),) = element.boxes
    assert (left, right) == (pytest.approx(50 / 300, abs=0.01), pytest.approx(176 / 300, abs=0.03))
    assert (top, bottom) == (pytest.approx(84 / 400, abs=0.02), pytest.approx(98 / 400, abs=0.02))


@pytest.mark.parametrize("drawn", [True, False])
def test_page_picture_shows_filled_form_values(tmp_path: Path, *, drawn: bool) -> None:
    filled = page_renderer.render(form(tmp_path / "a.pdf", drawn=drawn), 1, 300)
    assert filled != page_renderer.render(form(tmp_path / "b.pdf", drawn=drawn, value=" "), 1, 300)


def test_heads_and_feet_that_repeat_are_dropped(tmp_path: Path) -> None:
    def build(document: FPDF) -> None:
        for number in range(1, 7):
            document.add_page()
            document.text(60, 30, "Confidential")
            document.text(60, 400, f"Text of page {'abcdef'[number - 1]}.")
            document.text(300, 780, str(number))

    found = pdf_document.parse(made(tmp_path / "a.pdf", build, text=False), Limits())
    assert [element.text for element in found.elements] == [f"Text of page {letter}." for letter in "abcdef"]
    assert [element.page for element in found.elements] == [1, 2, 3, 4, 5, 6]


def test_columns_written_across_are_read_down(read: Callable[[Build], Rendition]) -> None:
    def build(document: FPDF) -> None:
        for place in range(12):
            document.text(60, 100 + 14 * place, f"left column, line number {place}")
            document.text(330, 100 + 14 * place, f"right column, line number {place}")

    text = " ".join(element.text for element in read(build).elements)
    assert text.index("left column, line number 11") < text.index("right column, line number 0")


def test_title_property_is_used_unless_generated_by_a_program(tmp_path: Path) -> None:
    def titled(title: str) -> str | None:
        def build(document: FPDF) -> None:
            document.set_title(title)
            document.text(60, 60, "Some text.")

        return pdf_document.parse(made(tmp_path / "a.pdf", build), Limits()).title

    assert titled("Travel policy 2024") == "Travel policy 2024"
    assert [titled(title) for title in ("0000320193-22-000070", "policy_final.docx", "Untitled", "Scan")] == [
        None
    ] * 4


def test_pages_without_text_are_reported(tmp_path: Path) -> None:
    def build(document: FPDF) -> None:
        document.text(60, 60, "Only here.")
        document.add_page()

    found = pdf_document.parse(made(tmp_path / "a.pdf", build), Limits())
    assert (found.pages, found.report.pages_without_text) == (2, (2,))


def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.pdf", lambda document: [document.add_page() for _ in range(3)])
    assert reason(path, pages=3) is Rejection.TOO_MANY_PAGES


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.pdf", lambda document: line(document, LOREM * 20))
    assert reason(path, characters=500) is Rejection.TOO_LARGE


@pytest.mark.parametrize(("password", "expected"), [("secret", Rejection.PASSWORD_PROTECTED), ("", None)])
def test_pdf_password_is_needed_only_to_open(
    tmp_path: Path, password: str, expected: Rejection | None
) -> None:
    def build(document: FPDF) -> None:
        document.set_encryption("owner", password, permissions=AccessPermission.none())
        document.text(60, 60, "Some text.")

    path = made(tmp_path / "a.pdf", build)
    if expected is None:
        assert pdf_document.parse(path, Limits()).elements[0].text == "Some text."
    else:
        assert reason(path) is expected


def test_truncated_pdf_is_damaged(tmp_path: Path) -> None:
    path = made(tmp_path / "a.pdf", lambda document: line(document, LOREM))
    path.write_bytes(path.read_bytes()[:200])
    assert reason(path) is Rejection.DAMAGED_FILE
