"""Links of a PDF page, which are areas on it with a target."""

import ctypes
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from cairn.library.links import MAX_URL_CHARACTERS

_MAX_PER_PAGE: Final = 500


class LinkAnnotation(NamedTuple):
    """A link to a URL. `area` is in points of the PDF."""

    area: pdfium.FS_RECTF
    target: str


def read_annotations(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> list[LinkAnnotation]:
    return list(islice(_read(document, page), _MAX_PER_PAGE))


def _read(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> Iterator[LinkAnnotation]:
    place, link = ctypes.c_int(0), pdfium.FPDF_LINK()
    while pdfium.FPDFLink_Enumerate(page, place, link):
        area = pdfium.FS_RECTF()
        target = _target(document, link)
        if target and pdfium.FPDFLink_GetAnnotRect(link, area):
            yield LinkAnnotation(area, target)


def _target(document: pypdfium2.PdfDocument, link: pdfium.FPDF_LINK) -> str:
    action = pdfium.FPDFLink_GetAction(link)
    if not action or pdfium.FPDFAction_GetType(action) != pdfium.PDFACTION_URI:
        return ""
    length = pdfium.FPDFAction_GetURIPath(document, action, None, 0)
    if length > MAX_URL_CHARACTERS:
        return ""
    buffer = ctypes.create_string_buffer(length)
    pdfium.FPDFAction_GetURIPath(document, action, buffer, length)
    return buffer.value.decode("utf-8", "replace")
