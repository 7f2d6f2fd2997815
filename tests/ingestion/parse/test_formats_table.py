"""Real files of all formats: what they hold, and the table of what is kept of each in docs/use/formats.md.

UPDATE_DOCS=1 writes the table. Each file is read once, for all tests here.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Element
from ingestion.parse.core import formats
from ingestion.parse.core.formats import FORMATS, Container, Format
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.pool import Limits, Parsed, ParserPool
from tests.ingestion.parse import samples
from tests.ingestion.parse.conftest import ROOT

DOCS = ROOT / "docs" / "use" / "formats.md"
HEAD = "| Format | Extensions | Recognised by | What is kept | Requires |\n|---|---|---|---|---|\n"
SLIDES = (formats.PPTX, formats.PPT)
PICTURES = (formats.PNG, formats.JPEG, formats.TIFF)
NEEDED = {
    **dict.fromkeys((formats.DOC, formats.PPT), programs.SOFFICE),
    **dict.fromkeys((formats.PDF, *PICTURES), programs.TESSERACT),
}
NEEDS = {programs.SOFFICE: "LibreOffice", programs.TESSERACT: "Tesseract"}
RECOGNISED = {
    **dict.fromkeys((formats.PDF, formats.RTF, *PICTURES), "its first bytes"),
    **dict.fromkeys((formats.DOCX, formats.PPTX, formats.XLSX), "the parts of its ZIP"),
    **dict.fromkeys((formats.ODT, formats.ODS, formats.EPUB), "the type named in its ZIP"),
    **dict.fromkeys((formats.DOC, formats.PPT, formats.XLS, formats.MSG), "the streams in its container"),
    **dict.fromkeys((formats.HTML, formats.XML), "its first tag, or the extension"),
    **dict.fromkeys((formats.JSON, formats.JSON_LINES), "its first character, and the extension"),
    formats.EML: "its mail headers",
    formats.ZIP: "a ZIP that isn't one of the other formats",
}
BY_ENDING = "text; the extension decides"
PROPERTIES = {
    "from": "sender",
    "to": "recipients",
    "subject": "subject",
    "author": "author",
    "date": "date",
}
REFUSED = {
    "empty.txt": Rejection.EMPTY_FILE,
    "password.pdf": Rejection.PASSWORD_PROTECTED,
    "password_protected.xlsx": Rejection.PASSWORD_PROTECTED,
}
MADE_WITH = {
    **dict.fromkeys((".doc", ".ppt"), programs.SOFFICE),
    **dict.fromkeys((".png", ".jpg"), programs.TESSERACT),
}
HOLDS = {
    "stanley-cups-utf-16.csv": "Maple Leafs | TOR | 13",
    "stanley-cups.tsv": "Maple Leafs | TOR | 13",
    "semicolon-delimited.csv": "Lorem, ipsum | dolor sit | amet",
    "umlauts-non-utf8.md": "äöüß",
    "fake-html-cp1252.html": "schöne Frau",
    "docx-tables.docx": "Header Col 1 | Header Col 2\nLorem ipsum | A link example",
    "handbook-1p.docx": "The United States Trustee appoints and supervises standing trustees",
    "example-10k.html": "Cash flows from operating activities:\nNet income (loss) | $ 2,111,812",
    "multi-column-2p.pdf": "relies on efficient passage retrieval to select candidate contexts",
    "rotated-page-90.pdf": "Hello World Test Text",
    "tests-example.xls": "Abbreviation | Question Type\nMC | Multiple Choice",
    "vodafone.xlsx": "Average foreign exchange rates | Nine quarters to 30 June 2023 | 14",
    "sample-presentation.pptx": "Table | A | B | C\n1 | A1 | B1 | C1",
    "fake.odt": "Header row | Mon | Wed | Fri\nColor | Blue | Red | Green",
    "fake-doc.rtf": "Column 1 | Column 2\nRow 1, Cell 1 | Row 1, Cell 2",
    "README.org": "example-10k.html - A 10-K SEC filing in HTML format",
    "README.rst": "example-10k.html - A 10-K SEC filing in HTML format",
    "factbook.xml": "name: Trinidad & Tobado\ncapital: Port of Spain",
    "simple.json": "metadata.filename: simple.docx",
    "hebrew-text-base64-iso88598i.txt": "נדרשת חתימה על הבקשה לרישום",
    "fake-text-utf-16.txt": "This is a test document to use for unit tests.",
    "copy-protected.pdf": "LayoutParser: A Unified Toolkit for Deep Learning Based Document Image Analysis",
}
KEPT_COLUMN = 3
ReadOnce = Callable[[Path], Parsed | Rejection]


@pytest.fixture(scope="module")
def read_once(pool: ParserPool) -> ReadOnce:
    @cache
    def read(path: Path) -> Parsed | Rejection:
        try:
            return pool.parse(path, path.name, limits=Limits())
        except DocumentRejected as error:
            return error.reason

    return read


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.endings[0])
def test_formats_table_matches_real_parsing(
    read_once: ReadOnce, sample_data: Path, tmp_path: Path, one: Format
) -> None:
    needed = NEEDED.get(one.media_type)
    if needed and programs.find(needed) is None:
        pytest.skip(f"{NEEDS[needed]} is not installed")
    row = _row(one, list(_read(read_once, samples.of(one, sample_data / "formats", tmp_path))))
    if os.environ.get("UPDATE_DOCS"):  # not a setting of the product
        _write(one, row)
    documented = next(line for line in DOCS.read_text().split("\n") if line.startswith(f"| {_named(one)} | "))
    if needed == programs.SOFFICE:
        assert _describes_less(documented, row)
    else:
        assert documented == row


@pytest.mark.parametrize(("filename", "text"), HOLDS.items())
def test_real_files_contain_their_expected_text(
    read_once: ReadOnce, sample_data: Path, filename: str, text: str
) -> None:
    found = read_once(sample_data / "formats" / filename)
    assert isinstance(found, Parsed)
    assert any(text in element.text for element in found.rendition.elements)


def test_every_real_file_but_the_protected_and_the_empty_is_read(
    read_once: ReadOnce, sample_data: Path
) -> None:
    refused: dict[str, Rejection] = {}
    for path in sorted((sample_data / "formats").iterdir()):
        found = read_once(path)
        if isinstance(found, Parsed):
            assert found.rendition.elements
        else:
            refused[path.name] = found
    assert refused == REFUSED | _without_programs(sample_data / "formats")


def _without_programs(folder: Path) -> dict[str, Rejection]:
    """Return formats that require a program that is not installed here."""
    missing = [ending for ending, program in MADE_WITH.items() if programs.find(program) is None]
    return {
        path.name: Rejection.UNSUPPORTED_TYPE for path in folder.iterdir() if path.suffix.lower() in missing
    }


def test_formats_table_has_no_other_rows() -> None:
    rows = DOCS.read_text().split(HEAD)[1].split("\n\n")[0].strip().split("\n")
    assert [row.split(" | ")[0] for row in rows] == [f"| {_named(one)}" for one in FORMATS]


def _read(read_once: ReadOnce, paths: Iterable[Path]) -> Iterator[Parsed]:
    """Read the files, except those that exist to be rejected."""
    yield from (found for path in paths if isinstance(found := read_once(path), Parsed))


def _row(one: Format, found: Sequence[Parsed]) -> str:
    assert {parsed.media_type for parsed in found} == {one.media_type}
    cells = (
        _named(one),
        ", ".join(one.endings),
        _recognised_by(one),
        ", ".join(_kept(one, found)),
        _needs(one),
    )
    return f"| {' | '.join(cells)} |"


def _describes_less(documented: str, row: str) -> bool:
    """Return whether a row differs at most by listing less of what is kept: some versions of LibreOffice keep
    more than others, such as the author."""
    (less, documented_cells), (more, cells) = _split_off_kept(documented), _split_off_kept(row)
    return less <= more and documented_cells == cells


def _split_off_kept(row: str) -> tuple[set[str], list[str]]:
    """Return what is kept, and the other cells."""
    cells = row.split(" | ")
    return set(cells.pop(KEPT_COLUMN).split(", ")), cells


def _recognised_by(one: Format) -> str:
    assert one.media_type in RECOGNISED or one.container is Container.PLAIN_TEXT, "add it to RECOGNISED"
    return RECOGNISED.get(one.media_type, BY_ENDING)


def _needs(one: Format) -> str:
    program = NEEDS.get(NEEDED.get(one.media_type, ""), "nothing else")
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
        yield "OCR text and its confidence"
    if any(parsed.parts for parsed in found):
        yield "contained files as separate documents"
    if any(rendition.language for rendition in renditions):
        yield "language"


def _places(one: Format, elements: Sequence[Element]) -> Iterator[str]:
    if any(element.page for element in elements):
        yield "slides" if one.media_type in SLIDES else "pages"
    if any(element.boxes for element in elements):
        yield "positions on the page"
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
    """Replace the row of the format, or insert it after the row of the previous format."""
    lines = DOCS.read_text().split("\n")
    place = next((i for i, line in enumerate(lines) if line.startswith(f"| {_named(one)} | ")), None)
    if place is not None:
        lines[place] = row
    else:
        before = [f"| {_named(other)} | " for other in FORMATS[: FORMATS.index(one)]] or ["|---"]
        after = max(i for i, line in enumerate(lines) if line.startswith((*before, "|---")))
        lines.insert(after + 1, row)
    DOCS.write_text("\n".join(lines))
