"""Reports about scanned pages that were not recognised."""

import pytest
from PIL import Image

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.ocr import tesseract
from ingestion.parse.ocr.tesseract import Paragraph
from ingestion.parse.pdf.scans import Scans, write
from ingestion.parse.sandbox import programs

BLANK = Image.new("L", (10, 10), 255)
BOX = (0.1, 0.1, 0.2, 0.2)


@pytest.fixture(autouse=True)
def _tesseract() -> None:
    if programs.find(programs.TESSERACT) is None:
        pytest.skip("tesseract is not installed")


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> list[Paragraph]:
        raise error

    monkeypatch.setattr(tesseract, "read", read)


def test_unread_pages_are_named_as_ranges() -> None:
    found = Scans(Limits(ocr_pages=0))
    for number in (1, 2, 3, 7, 9, 10):
        found.add(number, lambda: BLANK)
    assert found.is_cut_short
    assert found.warnings()[0].startswith(
        "Pages 1-3, 7, 9-10 were skipped: they’re images, and text recognition"
    )


def test_page_over_the_ocr_limit_is_not_rendered() -> None:
    found = Scans(Limits(ocr_pages=0))
    found.add(1, lambda: pytest.fail("drawn"))
    assert found.read == {}


def test_missing_time_for_ocr_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(DocumentRejected(Rejection.TIME_LIMIT, "x"), monkeypatch)
    found = Scans(Limits())
    found.add(4, lambda: BLANK)
    assert found.is_cut_short
    assert found.warnings()[0].startswith("Page 4 was skipped: it’s an image, and text recognition took")


def test_ocr_time_limit_applies_to_all_pages() -> None:
    found = Scans(Limits(seconds=0))
    found.add(1, lambda: pytest.fail("drawn"))
    assert found.is_cut_short


def test_page_with_failed_ocr_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(programs.ProgramFailed(programs.TESSERACT, 1), monkeypatch)
    found = Scans(Limits())
    found.add(2, lambda: BLANK)
    assert found.warnings() == ["Page 2 was skipped: text recognition failed."]
    assert not found.is_cut_short


def test_other_ocr_rejections_fail_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(DocumentRejected(Rejection.MEMORY_LIMIT, "x"), monkeypatch)
    with pytest.raises(DocumentRejected):
        Scans(Limits()).add(1, lambda: BLANK)


def test_ocr_confidence_is_the_mean_over_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter([(0.9, 0.9, 0.9), (0.5,)])
    monkeypatch.setattr(tesseract, "read", lambda *_, **__: [Paragraph(("a",), (BOX,), False, next(pages))])
    found = Scans(Limits())
    assert found.confidence is None
    for number in (1, 2):
        found.add(number, lambda: BLANK)
    assert found.confidence == 0.8


def test_hyphenated_ocr_words_are_rejoined() -> None:
    builder = RenditionBuilder(Limits())
    heading = Paragraph(("Travel",), (BOX,), True, (1.0,))
    text = Paragraph(("The depart-", "ment pays."), (BOX, BOX), False, (1.0,))
    write([heading, text], 3, builder)
    found = builder.build().elements
    assert [(one.category, one.text, one.section, one.page) for one in found] == [
        ("Title", "Travel", (), 3),
        ("NarrativeText", "The department pays.", ("Travel",), 3),
    ]
    assert found[1].boxes == (BOX, BOX)
