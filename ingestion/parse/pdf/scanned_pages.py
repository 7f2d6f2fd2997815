"""Detection and rendering of scanned PDF pages."""

from typing import Final

import pypdfium2
from PIL import Image
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE, FPDFPage_CountObjects

from ingestion.parse.ocr.tesseract import DPI, MOST_PIXELS
from ingestion.parse.pdf.lines import Page

_POINTS_PER_INCH: Final = 72
_FEW_CHARACTERS: Final = 50
_MOST_OF_PAGE: Final = 0.5
_DEPTH: Final = 3


def is_scan(page: pypdfium2.PdfPage, text: Page) -> bool:
    """Return whether a page is drawn without text, or has few letters beside a page-sized image."""
    if not text.lines:
        return bool(FPDFPage_CountObjects(page.raw))
    return text.characters < _FEW_CHARACTERS and _largest_picture(page) > _MOST_OF_PAGE


def _largest_picture(page: pypdfium2.PdfPage) -> float:
    """Return the area of the largest image as a fraction of the page."""
    width, height = page.get_size()
    areas = (
        (right - left) * (top - bottom)
        for left, bottom, right, top in (
            picture.get_bounds() for picture in page.get_objects([FPDF_PAGEOBJ_IMAGE], max_depth=_DEPTH)
        )
    )
    share: float = max(areas, default=0.0) / max(width * height, 1.0)
    return share


def picture(page: pypdfium2.PdfPage) -> Image.Image:
    width, height = page.get_size()
    scale = min(DPI / _POINTS_PER_INCH, (MOST_PIXELS / max(width * height, 1.0)) ** 0.5)
    drawn: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
    return drawn
