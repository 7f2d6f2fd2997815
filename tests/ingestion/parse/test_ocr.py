"""Text recognition with Tesseract on images whose words and positions are known."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core.limits import Limits
from ingestion.parse.ocr import deskew, tesseract
from ingestion.parse.sandbox import programs
from tests.ingestion.parse import paper

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tesseract() -> None:
    paper.needs(programs.TESSERACT)


def recognized_text(picture: Image.Image, limits: Limits | None = None) -> str:
    found = tesseract.read(picture, limits or Limits())
    return " ".join(line for paragraph in found for line in paragraph.lines)


def test_ocr_returns_lines_with_boxes() -> None:
    (paragraph,) = tesseract.read(paper.page(), Limits())
    assert paragraph.lines == paper.SAYING
    assert not paragraph.is_heading
    assert min(paragraph.confidences) > 0.8
    (left, top, right, bottom), (_, next_top, _, _) = paragraph.boxes
    width, height = paper.SIZE
    assert left == pytest.approx(paper.LEFT / width, abs=0.01)
    assert paper.TOP / height - 0.01 < top < bottom < (paper.TOP + paper.STEP) / height
    assert left + 0.3 < right < 1
    assert next_top == pytest.approx(top + paper.STEP / height, abs=0.02)


def test_single_line_of_large_letters_is_a_heading() -> None:
    heading, *rest = tesseract.read(paper.page(heading="Travel policy"), Limits())
    assert (heading.lines, heading.is_heading) == (("Travel policy",), True)
    assert [paragraph.is_heading for paragraph in rest] == [False] * len(rest)


def test_skewed_page_is_read_with_original_coordinates() -> None:
    straight = paper.page(paper.SAYING * 4)
    askew = straight.rotate(3, Image.Resampling.BICUBIC, fillcolor=255)
    assert deskew.degrees(askew) == pytest.approx(-3, abs=0.5)
    found = tesseract.read(askew, Limits())
    assert paper.SAYING[0] in [line for paragraph in found for line in paragraph.lines]
    left, top, right, bottom = found[0].boxes[0]
    assert top == pytest.approx(_ink_top(askew, left, right), abs=0.02)
    assert bottom - top > 0.08, "a box around a slanting line is higher than the line"


def _ink_top(picture: Image.Image, left: float, right: float) -> float:
    dark = np.asarray(picture)[:, int(left * picture.width) : int(right * picture.width)] < 128
    return float(dark.any(axis=1).argmax()) / picture.height


def test_straight_and_blank_pages_are_not_rotated() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (400, 400), dtype=np.uint8)
    assert deskew.degrees(paper.page()) == 0
    assert deskew.degrees(Image.fromarray(noise)) == 0


def test_noise_gives_no_words() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (600, 600), dtype=np.uint8)
    assert recognized_text(Image.fromarray(noise)) == ""
    assert recognized_text(Image.new("L", (600, 600), 255)) == ""


def test_transparent_background_is_read_as_white() -> None:
    letters = paper.page()
    see_through = Image.merge(
        "RGBA", (*[Image.new("L", letters.size, 0)] * 3, letters.point(lambda v: 255 - v))
    )
    assert paper.SAYING[0] in recognized_text(see_through)


def test_pictures_are_scaled_to_a_readable_size() -> None:
    assert tesseract._fit(Image.new("L", (300, 200))).size == (600, 400)
    width, height = tesseract._fit(Image.new("L", (9000, 6000))).size
    assert width * height <= tesseract.MOST_PIXELS
    assert width / height == pytest.approx(1.5, abs=0.01)


def test_requested_languages_are_used_if_installed() -> None:
    if "deu" not in tesseract.languages(Limits()):
        pytest.skip("Tesseract has no data for German")
    assert tesseract._languages(Limits(ocr_languages="deu+xxx")) == ("deu",)
    assert (
        recognized_text(paper.page(["Der Raum ist heute frei."]), Limits(ocr_languages="deu"))
        == "Der Raum ist heute frei."
    )


def test_missing_languages_fall_back_to_the_default() -> None:
    there = set(tesseract.languages(Limits()))
    found = tesseract._languages(Limits(ocr_languages="xxx"))
    assert found
    assert set(found) <= there - set(tesseract.NOT_A_LANGUAGE)


def test_ocr_has_a_time_limit() -> None:
    with pytest.raises(DocumentRejected) as caught:
        tesseract.read(paper.page(paper.SAYING * 4), Limits(), seconds=0.01)
    assert caught.value.reason is Rejection.TIME_LIMIT


def test_crashed_ocr_is_reported_separately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "tesseract"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    assert subprocess.run([broken], check=False).returncode == 3
    monkeypatch.setattr(programs, "find", lambda _: broken)
    with pytest.raises(programs.ProgramFailed) as caught:
        tesseract.read(paper.page(), Limits())
    assert caught.value.returncode == 3
