"""Real files, where they are at hand."""

from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse import pdf, programs
from ingestion.parse.sandbox import Limits, ParserPool

FRONT_MATTER_ONLY = {
    "about-us/org-chart.md",
    "general-information-and-resources/business-and-ops-policies/billing_policy.md",
    "general-information-and-resources/tech-policies/open-source.md",
    "office-of-solutions/org-chart.md",
    "redirects/buddy-handbook.md",
    "redirects/employee-assistance-program.md",
    "tools/vmware-fusion.md",
    "tools/vmware-horizon.md",
}
REFUSED = {
    "empty.txt": Rejection.EMPTY_FILE,
    "password.pdf": Rejection.PASSWORD_PROTECTED,
    "password_protected.xlsx": Rejection.PASSWORD_PROTECTED,
}
NEEDS = {
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


def parse(pool: ParserPool, path: Path) -> Rendition:
    return pool.parse(path, path.name, limits=Limits()).rendition


def test_the_handbook_but_for_its_empty_pages_is_read(pool: ParserPool, sample_data: Path) -> None:
    folder = sample_data / "handbook"
    refused: dict[str, Rejection] = {}
    for path in sorted(folder.rglob("*.md")):
        try:
            assert parse(pool, path).title
        except DocumentRejected as error:
            refused[str(path.relative_to(folder))] = error.reason
    assert refused == dict.fromkeys(FRONT_MATTER_ONLY, Rejection.NO_TEXT)


@pytest.mark.parametrize(("filename", "text"), HOLDS.items())
def test_real_files_hold_what_they_hold(
    pool: ParserPool, sample_data: Path, filename: str, text: str
) -> None:
    found = parse(pool, sample_data / "formats" / filename)
    assert any(text in element.text for element in found.elements)


def test_every_real_file_but_the_protected_and_the_empty_is_read(pool: ParserPool, sample_data: Path) -> None:
    refused: dict[str, Rejection] = {}
    for path in sorted((sample_data / "formats").iterdir()):
        try:
            assert parse(pool, path).elements
        except DocumentRejected as error:
            refused[path.name] = error.reason
    assert refused == REFUSED | _without_programs(sample_data / "formats")


def _without_programs(folder: Path) -> dict[str, Rejection]:
    """What takes a program that is not installed here."""
    missing = [ending for ending, program in NEEDS.items() if programs.find(program) is None]
    return {
        path.name: Rejection.UNSUPPORTED_TYPE for path in folder.iterdir() if path.suffix.lower() in missing
    }


def test_a_quarterly_report_keeps_its_statements(sample_data: Path) -> None:
    found = pdf.parse(sample_data / "sec-10-q" / "2023 Q1 AMZN.pdf", Limits())
    statement = next(one for one in found.elements if "Net product sales | $ 56,455 | $ 56,981" in one.text)
    assert (statement.category, statement.page, statement.header_rows) == ("Table", 4, 3)
    assert "CONSOLIDATED STATEMENTS OF OPERATIONS" in statement.section[-1]
    assert statement.text.split("\n")[2] == " | 2022 | 2023"
    assert not any(element.text == "Table of Contents" for element in found.elements)
