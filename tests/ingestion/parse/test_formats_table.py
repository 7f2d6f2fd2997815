"""The table in docs/formats.md says what is kept of each format; here it is made, from real files.

UPDATE_DOCS=1 writes it.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected
from cairn.library.rendition import Element
from ingestion.parse import formats, programs
from ingestion.parse.formats import FORMATS, Format
from ingestion.parse.sandbox import Limits, Parsed, ParserPool
from tests.ingestion.parse import samples
from tests.ingestion.parse.conftest import ROOT

DOCS = ROOT / "docs" / "formats.md"
HEAD = "| Format | Endings | Recognised by | What is kept | Needed |\n|---|---|---|---|---|\n"
SLIDES = (formats.PPTX, formats.PPT)
PICTURES = (formats.PNG, formats.JPEG, formats.TIFF)
NEEDED = {
    **dict.fromkeys((formats.DOC, formats.PPT), programs.SOFFICE),
    **dict.fromkeys((formats.PDF, *PICTURES), programs.TESSERACT),
}
NEEDS = {programs.SOFFICE: "LibreOffice", programs.TESSERACT: "Tesseract"}
RECOGNISED = {
    **dict.fromkeys((formats.PDF, formats.RTF, *PICTURES), "its first bytes"),
    **dict.fromkeys((formats.DOCX, formats.PPTX, formats.XLSX), "the parts in its ZIP"),
    **dict.fromkeys((formats.ODT, formats.ODS, formats.EPUB), "the type that its ZIP names"),
    **dict.fromkeys((formats.DOC, formats.PPT, formats.XLS, formats.MSG), "the streams in its container"),
    **dict.fromkeys((formats.HTML, formats.XML), "its first tag, or the ending"),
    **dict.fromkeys((formats.JSON, formats.JSON_LINES), "its first sign, and the ending"),
    formats.EML: "its mail headers",
    formats.ZIP: "a ZIP that is none of the others",
}
BY_ENDING = "text; the ending tells which"
PROPERTIES = {
    "from": "sender",
    "to": "recipients",
    "subject": "subject",
    "author": "author",
    "date": "date",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.endings[0])
def test_the_table_is_what_a_run_gives(
    pool: ParserPool, sample_data: Path, tmp_path: Path, one: Format
) -> None:
    needed = NEEDED.get(one.media_type)
    if needed and programs.find(needed) is None:
        pytest.skip(f"{NEEDS[needed]} is not installed")
    row = _row(one, list(_read(pool, samples.of(one, sample_data / "formats", tmp_path))))
    if os.environ.get("UPDATE_DOCS"):  # not a setting of the product
        _write(one, row)
    assert row in DOCS.read_text().split("\n")


def test_the_table_has_no_other_rows() -> None:
    rows = DOCS.read_text().split(HEAD)[1].split("\n\n")[0].strip().split("\n")
    assert [row.split(" | ")[0] for row in rows] == [f"| {_named(one)}" for one in FORMATS]


def _read(pool: ParserPool, paths: Iterable[Path]) -> Iterator[Parsed]:
    """Files that are there to be refused say nothing about what is kept."""
    for path in paths:
        try:
            yield pool.parse(path, path.name, limits=Limits())
        except DocumentRejected:
            continue


def _row(one: Format, found: Sequence[Parsed]) -> str:
    assert {parsed.media_type for parsed in found} == {one.media_type}
    cells = (
        _named(one),
        ", ".join(one.endings),
        RECOGNISED.get(one.media_type, BY_ENDING),
        ", ".join(_kept(one, found)),
        _needs(one),
    )
    return f"| {' | '.join(cells)} |"


def _needs(one: Format) -> str:
    program = NEEDS.get(NEEDED.get(one.media_type, ""), "nothing more")
    return f"{program} for scanned pages" if one.media_type == formats.PDF else program


def _named(one: Format) -> str:
    return one.noun[0].upper() + one.noun[1:]


def _kept(one: Format, found: Sequence[Parsed]) -> Iterator[str]:
    renditions = [parsed.rendition for parsed in found]
    elements = [element for rendition in renditions for element in rendition.elements]
    if any(rendition.title for rendition in renditions):
        yield "title"
    told = {name for one in renditions for name in one.properties}
    yield from (shown for name, shown in PROPERTIES.items() if name in told)
    yield from _places(one, elements)
    yield from _kinds(elements)
    if any(rendition.report.ocr_confidence is not None for rendition in renditions):
        yield "words read by OCR and how sure it was"
    if any(parsed.parts for parsed in found):
        yield "files inside, as documents of their own"
    if any(rendition.language for rendition in renditions):
        yield "language"


def _places(one: Format, elements: Sequence[Element]) -> Iterator[str]:
    if any(element.page for element in elements):
        yield "slides" if one.media_type in SLIDES else "pages"
    if any(element.boxes for element in elements):
        yield "places on the page"
    if any(element.sheet for element in elements):
        yield "sheets"
    if any(element.cells for element in elements):
        yield "cell ranges"
    if any(element.section for element in elements):
        yield "sections"


def _kinds(elements: Sequence[Element]) -> Iterator[str]:
    seen = {element.category for element in elements}
    if seen & {"NarrativeText", "UncategorizedText", "Text"}:
        yield "paragraphs"
    if "ListItem" in seen:
        yield "lists"
    if "Table" in seen:
        headed = any(element.header_rows for element in elements)
        yield "tables with their headers" if headed else "tables"
    if "CodeSnippet" in seen:
        yield "code"


def _write(one: Format, row: str) -> None:
    """In the place of the format's old row, or after the row of the format before it."""
    lines = DOCS.read_text().split("\n")
    place = next((i for i, line in enumerate(lines) if line.startswith(f"| {_named(one)} | ")), None)
    if place is not None:
        lines[place] = row
    else:
        before = [f"| {_named(other)} | " for other in FORMATS[: FORMATS.index(one)]] or ["|---"]
        after = max(i for i, line in enumerate(lines) if line.startswith((*before, "|---")))
        lines.insert(after + 1, row)
    DOCS.write_text("\n".join(lines))
