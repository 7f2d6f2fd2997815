"""PDF by PDFium: text in reading order, with page and position of every line."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pypdfium2
from pypdfium2.raw import FLAT_NORMALDISPLAY, FLATTEN_SUCCESS, FPDF_ERR_PASSWORD, FPDFPage_Flatten

from cairn.errors import DocumentRejected
from cairn.library.rendition import Box, Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.core import failures, progress
from ingestion.parse.core.anchors import Anchor
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import LIST_ITEM, TABLE, RenditionBuilder
from ingestion.parse.pdf import scanned_pages, scans, tables
from ingestion.parse.pdf.headers_footers import without_furniture
from ingestion.parse.pdf.hyphenation import Speller
from ingestion.parse.pdf.layout import Block, blocks_of, measure
from ingestion.parse.pdf.lines import BROKEN_WORD, Line, Page, PageLink, read_page
from ingestion.parse.pdf.link_annotations import LinkAnnotation, read_annotations
from ingestion.parse.pdf.scans import Scans
from ingestion.parse.sandbox import programs
from ingestion.parse.text.cleaning import clean

_KIND: Final = "PDF"
_PARAGRAPH: Final = "NarrativeText"
_BULLET: Final = re.compile(r"^[•▪●■◦‣∙·○□➢❖✓*–—\uf000-\uf0ff-]\s+")
_PARTS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(part|book|volume|title)\s+([ivxlc]+|\d+)\b",
        r"(chapter|item|article|appendix|annex)\s+([ivxlc]+|\d+|[a-z])\b",
        r"(section|note|schedule|exhibit)\s+(\d+|[a-z])\b",
        r"\d+\.?\s",
        r"\d+\.\d+\.?\s",
        r"\d+\.\d+\.\d+",
    )
)
_TITLE_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_NOT_A_TITLE: Final = re.compile(
    r"untitled|\.(docx?|pdf|indd|pptx?|xlsx?|tex|dvi)$|^microsoft", re.IGNORECASE
)


def parse(path: Path, limits: Limits) -> Rendition:
    found = Scans(limits)
    document = open_document(path)
    try:
        if len(document) > limits.pages:
            raise failures.too_many_pages(len(document), limits.pages)
        title = _metadata_title(document)
        pages = list(_pages(document, found, limits))
    finally:
        document.close()
    return _rendition(pages, found, title, limits)


def open_document(path: Path) -> pypdfium2.PdfDocument:
    """Open a PDF. Raises DocumentRejected if it needs a password or is damaged."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == FPDF_ERR_PASSWORD:
            raise failures.protected(_KIND) from error
        raise failures.damaged(_KIND) from error
    with suppress(pypdfium2.PdfiumError):  # a broken form has a text around it
        document.init_forms()
    if not len(document):
        raise failures.damaged(_KIND)
    return document


def _pages(document: pypdfium2.PdfDocument, found: Scans, limits: Limits) -> Iterator[Page]:
    """Yield pages. Unreadable pages count as pages without text."""
    characters = 0
    for number in range(1, len(document) + 1):
        page = _page(document, number, found)
        characters += page.characters
        if characters > limits.characters:
            raise failures.too_large(limits.characters)
        yield page
        progress.report(number, len(document))


def _page(document: pypdfium2.PdfDocument, number: int, found: Scans) -> Page:
    try:
        page, links = _load_flattened_page(document, number - 1)
    except pypdfium2.PdfiumError:
        return Page(1, 1, ())
    try:
        return _text_or_scan(page, links, number, found)
    except pypdfium2.PdfiumError:
        return Page(1, 1, ())
    finally:
        page.close()


def _load_flattened_page(
    document: pypdfium2.PdfDocument, index: int
) -> tuple[pypdfium2.PdfPage, list[LinkAnnotation]]:
    """Load a page and its links, and draw form field values onto it, so that they become part of its text."""
    page = document[index]
    links = read_annotations(document, page)  # flattening removes them
    if document.formenv is None:
        return page, links
    page.set_cropbox(*page.get_bbox())  # PDFium ignores a size declared for all pages
    if FPDFPage_Flatten(page, FLAT_NORMALDISPLAY) != FLATTEN_SUCCESS:
        return page, links
    page.close()
    return document[index], links


def _text_or_scan(
    page: pypdfium2.PdfPage, links: Sequence[LinkAnnotation], number: int, found: Scans
) -> Page:
    """Return the page's text, or the recognised text if it is a scan with few letters."""
    text = read_page(page, links)
    if scanned_pages.is_scan(page, text):
        found.add(number, partial(scanned_pages.picture, page))
    return replace(text, lines=()) if number in found.read else text


def _rendition(pages: Sequence[Page], found: Scans, title: str | None, limits: Limits) -> Rendition:
    without_text = tuple(
        number for number, page in enumerate(pages, 1) if not page.lines and number not in found.read
    )
    if len(without_text) == len(pages):
        raise _nothing_read(found, limits)
    style = measure(pages)
    content = without_furniture(pages)
    blocks = [(number, page, list(blocks_of(page, style))) for number, page in enumerate(content, 1)]
    reader = _Reader([block for _, _, found_here in blocks for block in found_here], limits)
    for number, page, found_here in blocks:
        for block in found_here:
            reader.add(block, number, page)
        scans.write(found.read.get(number, ()), number, reader.builder)
    report = Report(
        pages_without_text=without_text,
        ocr_pages=tuple(found.read),
        ocr_confidence=found.confidence,
        tables=reader.builder.tables,
        truncated=found.is_cut_short and not found.is_missing,
        warnings=tuple(found.warnings()),
    )
    return reader.builder.build(title=title, pages=len(pages), report=report)


def _nothing_read(found: Scans, limits: Limits) -> DocumentRejected:
    if found.is_cut_short:
        return (
            programs.missing(programs.TESSERACT) if found.is_missing else failures.time_limit(limits.seconds)
        )
    return failures.no_text(CodedMessage("no_text_on_pages"))


class _Reader:
    """Adds blocks to a rendition, using the whole document's headings and words."""

    def __init__(self, blocks: Sequence[Block], limits: Limits) -> None:
        self.builder = RenditionBuilder(limits)
        self._speller = Speller([block.text for block in blocks])
        self._ranks = sorted({_rank(block) for block in blocks if block.kind == "heading"})

    def add(self, block: Block, number: int, page: Page) -> None:
        if block.kind == "table":
            self._table(block, number, page)
            return
        boxes = [page.fractions(line.box) for line in block.lines]
        text = self._speller.join_lines([line.text for line in block.lines])
        anchors = list(_anchors(block.lines, page.links))
        if block.kind == "heading":
            level = self._ranks.index(_rank(block))
            self.builder.heading(level, text, page=number, boxes=boxes, anchors=anchors)
        elif block.kind == "item":
            self.builder.add(LIST_ITEM, _BULLET.sub("", text), page=number, boxes=boxes, anchors=anchors)
        else:
            self.builder.add(_PARAGRAPH, text, page=number, boxes=boxes, anchors=anchors)

    def _table(self, block: Block, number: int, page: Page) -> None:
        rows = tables.rows_of(block.lines)
        text = "\n".join(tables.row_texts(rows)).replace(BROKEN_WORD, "-")
        self.builder.add(
            TABLE,
            text,
            page=number,
            boxes=[page.fractions(row.box) for row in rows],
            header_rows=tables.header_rows(rows),
            anchors=list(_anchors(block.lines, page.links)),
        )


def _anchors(lines: Sequence[Line], links: Sequence[PageLink]) -> Iterator[Anchor]:
    """Yield the links whose middle is on one of the lines, from left to right on each."""
    for line in lines if links else ():
        on_line = (link for link in links if _contains_middle(line.box, link.box))
        yield from (link.anchor for link in sorted(on_line, key=lambda link: link.box[0]))


def _contains_middle(outer: Box, inner: Box) -> bool:
    across, down = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= across <= outer[2] and outer[1] <= down <= outer[3]


def _rank(block: Block) -> tuple[int, int]:
    """Rank headings by size, then by numbering."""
    order = next((place for place, part in enumerate(_PARTS) if part.match(block.text)), len(_PARTS))
    return -round(block.lines[0].height), order


def _metadata_title(document: pypdfium2.PdfDocument) -> str | None:
    """Return the title property, unless a program wrote a file name or number there."""
    title = clean(document.get_metadata_value("Title")).strip()
    if _NOT_A_TITLE.search(title) or len(_TITLE_WORD.findall(title)) < 2:
        return None
    return title
