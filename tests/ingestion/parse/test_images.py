"""Pictures of text, read in a parser process as an upload is."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse import images
from ingestion.parse.core import formats
from ingestion.parse.ocr import tesseract
from ingestion.parse.sandbox.pool import Limits, ParserPool
from tests.ingestion.parse import paper
from tests.ingestion.parse.conftest import Read, Refuse

pytestmark = pytest.mark.slow
TURNED_RIGHT = 6  # EXIF: the camera was rotated, so the picture has to be turned clockwise
ORIENTATION = 0x0112


def pages(*pictures: Image.Image) -> bytes:
    first, *others = pictures
    return paper.saved(first, "TIFF", save_all=True, append_images=others)


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tiff")])
def test_image_of_text_is_read_as_a_page(read: Read, kind: str, ending: str) -> None:
    found = read(paper.saved(paper.page(heading="Travel policy"), kind), f"a.{ending}")
    assert (found.title, found.pages, found.language) == ("Travel policy", 1, "en")
    assert " ".join(element.text for element in found.elements[1:]) == " ".join(paper.SAYING)
    assert found.elements[-1].section == ("Travel policy",)
    assert all(element.page == 1 and element.boxes for element in found.elements)
    assert found.report.ocr_pages == (1,)
    assert found.report.ocr_confidence is not None
    assert 0.8 < found.report.ocr_confidence <= 1


@pytest.mark.usefixtures("tesseract")
def test_each_tiff_page_is_read_and_reported(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    blank = Image.new("L", paper.SIZE, 255)
    path.write_bytes(pages(paper.page(["First things first."]), blank, paper.page(["Last things last."])))
    told: list[tuple[int, int]] = []
    found = pool.parse(
        path, "a.tiff", limits=Limits(), progress=lambda *progress: told.append(progress)
    ).rendition
    assert [(element.page, element.text) for element in found.elements] == [
        (1, "First things first."),
        (3, "Last things last."),
    ]
    assert (found.pages, found.report.pages_without_text, found.report.ocr_pages) == (3, (2,), (1, 3))
    assert told[0] == (1, 3)


@pytest.mark.usefixtures("tesseract")
def test_rotated_photograph_is_read(read: Read) -> None:
    turned = paper.page().rotate(90, expand=True)
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    found = read(paper.saved(turned, "JPEG", exif=exif), "a.jpg")
    assert found.elements[0].text.startswith(paper.SAYING[0])


@pytest.mark.usefixtures("tesseract")
def test_pages_beyond_the_ocr_limit_are_named(read: Read) -> None:
    found = read(pages(*[paper.page(["First things first."])] * 4), "a.tiff", ocr_pages=1)
    assert (found.report.truncated, found.report.pages_without_text) == (True, (2, 3, 4))
    assert found.report.warnings[0].startswith("Pages 2-4 were skipped")


@pytest.mark.usefixtures("tesseract")
def test_blank_picture_has_no_text(refuse: Refuse) -> None:
    failure = refuse(paper.saved(Image.new("RGB", paper.SIZE, "red")), "a.png", Rejection.NO_TEXT)
    assert "sharper or larger" in failure.message


@pytest.mark.usefixtures("tesseract")
def test_too_many_pages_are_refused_before_any_is_read(refuse: Refuse) -> None:
    refuse(pages(*[paper.page()] * 3), "a.tiff", Rejection.TOO_MANY_PAGES, pages=2)


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tiff")])
def test_truncated_picture_is_damaged(refuse: Refuse, kind: str, ending: str) -> None:
    whole = paper.saved(paper.page(), kind)
    refuse(whole[: len(whole) // 2], f"a.{ending}", Rejection.DAMAGED_FILE)


@pytest.mark.usefixtures("tesseract")
def test_image_with_too_many_pixels_is_rejected_before_unpacking(refuse: Refuse) -> None:
    side = 40_000
    assert side * side > images._MOST_PIXELS
    failure = refuse(_png_of(side, side), "a.png", Rejection.TOO_LARGE, memory_mb=512)
    assert "40,000 by 40,000" in failure.message


def _png_of(width: int, height: int) -> bytes:
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + width // 8)) for _ in range(height)) + rows.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tiff")])
def test_missing_tesseract_is_named(bare_pool: ParserPool, tmp_path: Path, kind: str, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(paper.saved(paper.page(), kind))
    with pytest.raises(DocumentRejected, match="Tesseract, which isn’t installed") as caught:
        bare_pool.parse(path, path.name, limits=Limits())
    assert caught.value.reason is Rejection.UNSUPPORTED_TYPE


def test_pictures_are_detected_by_their_first_bytes() -> None:
    assert {formats.PNG, formats.JPEG, formats.TIFF} <= formats.BY_MEDIA_TYPE.keys()
    assert tesseract.MOST_PIXELS < images._MOST_PIXELS
