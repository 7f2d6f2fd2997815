"""Images of printed pages, generated so that their words and positions are known."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from ingestion.parse.sandbox import programs

SIZE: Final = (1200, 700)
LEFT: Final = 100
TOP: Final = 100
STEP: Final = 44
LETTERS: Final = 34
SAYING: Final = ("The committee meets on the first Monday", "of every month and decides on all requests.")


def needs(program: str) -> None:
    if programs.find(program) is None:
        pytest.skip(f"{program} is not installed")


def page(lines: Sequence[str] = SAYING, *, heading: str = "", size: tuple[int, int] = SIZE) -> Image.Image:
    """Black on white, a line each `STEP` from `TOP`, which is where a heading's letters begin too."""
    paper = Image.new("L", size, 255)
    draw = ImageDraw.Draw(paper)
    if heading:
        draw.text((LEFT, TOP), heading, fill=0, font=ImageFont.load_default(2 * LETTERS))
    for place, line in enumerate(lines):
        top = TOP + STEP * place + (3 * STEP if heading else 0)
        draw.text((LEFT, top), line, fill=0, font=ImageFont.load_default(LETTERS))
    return paper


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def scanned(path: Path, *pages: Image.Image | str) -> bytes:
    """A PDF of A4 pages: a picture over the whole width, or text; an empty text is an empty page."""
    document = FPDF(unit="pt", format=(600, 800))
    document.set_font("helvetica", size=12)
    for one in pages:
        document.add_page()
        if isinstance(one, str):
            document.text(60, 100, one)
        else:
            document.image(one, 0, 0, 600, 800)
    document.output(str(path))
    return path.read_bytes()
