"""PDFs whose pages are images, in whole or in part."""

from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.sandbox.pool import Limits, ParserPool
from tests.ingestion.parse import paper
from tests.ingestion.parse.conftest import Read, Refuse

pytestmark = pytest.mark.slow
TYPED = "This page was typed and needs no recognition."


def sheet() -> Image.Image:
    return paper.page(size=(1200, 1600))


@pytest.mark.usefixtures("tesseract")
def test_scanned_and_typed_pages_preserve_their_order(read: Read, tmp_path: Path) -> None:
    found = read(paper.scanned(tmp_path / "made.pdf", TYPED, sheet(), ""), "a.pdf")
    assert [(element.page, element.text) for element in found.elements] == [
        (1, TYPED),
        (2, " ".join(paper.SAYING)),
    ]
    report = found.report
    assert (found.pages, report.ocr_pages, report.pages_without_text) == (3, (2,), (3,))
    assert report.ocr_confidence is not None
    assert 0.8 < report.ocr_confidence <= 1
    assert (report.truncated, report.warnings) == (False, ())


@pytest.mark.usefixtures("tesseract")
def test_recognised_lines_have_boxes(read: Read, tmp_path: Path) -> None:
    boxes = read(paper.scanned(tmp_path / "made.pdf", sheet()), "a.pdf").elements[0].boxes
    assert len(boxes) == len(paper.SAYING)
    left, top, _, bottom = boxes[0]
    assert left == pytest.approx(paper.LEFT / 1200, abs=0.01)
    assert paper.TOP / 1600 - 0.01 < top < bottom < (paper.TOP + paper.STEP) / 1600 + 0.01


@pytest.mark.usefixtures("tesseract")
def test_scan_rotated_by_the_viewer_is_read(read: Read, tmp_path: Path) -> None:
    paper.scanned(tmp_path / "made.pdf", sheet().rotate(180))
    document = pypdfium2.PdfDocument(tmp_path / "made.pdf")
    document[0].set_rotation(180)
    document.save(tmp_path / "turned.pdf")
    document.close()
    found = read((tmp_path / "turned.pdf").read_bytes(), "a.pdf")
    assert found.elements[0].text == " ".join(paper.SAYING)
    assert found.elements[0].boxes[0][1] < 0.2


@pytest.mark.usefixtures("tesseract")
def test_stamped_page_number_does_not_hide_a_scan(read: Read, tmp_path: Path) -> None:
    stamped = _stamped(tmp_path / "made.pdf")
    found = read(stamped, "a.pdf")
    assert found.report.ocr_pages == (1,)
    assert " ".join(paper.SAYING) in [element.text for element in found.elements]


def _stamped(path: Path) -> bytes:
    paper.scanned(path.with_name("scan.pdf"), sheet())
    paper.scanned(path.with_name("number.pdf"), "17")
    document = pypdfium2.PdfDocument(path.with_name("scan.pdf"))
    stamp = pypdfium2.PdfDocument(path.with_name("number.pdf"))
    document[0].insert_obj(stamp.page_as_xobject(0, document).as_pageobject())
    document[0].gen_content()
    document.save(path)
    return path.read_bytes()


@pytest.mark.usefixtures("tesseract")
def test_scanned_pages_beyond_the_ocr_limit_are_named(read: Read, tmp_path: Path) -> None:
    found = read(paper.scanned(tmp_path / "made.pdf", TYPED, sheet(), sheet()), "a.pdf", ocr_pages=1)
    assert (found.report.ocr_pages, found.report.pages_without_text) == ((2,), (3,))
    assert found.report.truncated
    (warning,) = found.report.warnings
    assert warning.startswith("Page 3 was skipped: it’s an image, and text recognition took too long")


@pytest.mark.usefixtures("tesseract")
def test_blank_scans_have_no_text(refuse: Refuse, tmp_path: Path) -> None:
    empty = Image.new("L", (1200, 1600), 200)
    failure = refuse(paper.scanned(tmp_path / "made.pdf", empty), "a.pdf", Rejection.NO_TEXT)
    assert "scan them at a higher quality" in failure.message


def test_scan_without_tesseract_is_rejected_naming_it(bare_pool: ParserPool, tmp_path: Path) -> None:
    paper.scanned(tmp_path / "made.pdf", sheet())
    with pytest.raises(DocumentRejected, match="Tesseract, which isn’t installed") as caught:
        bare_pool.parse(tmp_path / "made.pdf", "a.pdf", limits=Limits())
    assert caught.value.reason is Rejection.UNSUPPORTED_TYPE


def test_typed_pages_are_read_without_tesseract_and_scans_reported(
    bare_pool: ParserPool, tmp_path: Path
) -> None:
    paper.scanned(tmp_path / "made.pdf", TYPED, sheet(), sheet())
    found = bare_pool.parse(tmp_path / "made.pdf", "a.pdf", limits=Limits()).rendition
    assert [element.text for element in found.elements] == [TYPED]
    assert found.report.pages_without_text == (2, 3)
    assert (found.report.ocr_pages, found.report.ocr_confidence) == ((), None)
    assert "Pages 2-3 were skipped" in found.report.warnings[0]
    assert "Tesseract" in found.report.warnings[0]
