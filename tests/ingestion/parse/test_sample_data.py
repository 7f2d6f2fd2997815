"""Real files, where they are at hand."""

from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse.pdf import pdf_document
from ingestion.parse.sandbox.pool import Limits, ParserPool

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


def parse(pool: ParserPool, path: Path) -> Rendition:
    return pool.parse(path, path.name, limits=Limits()).rendition


@pytest.mark.slow
def test_handbook_is_read_except_for_empty_pages(pool: ParserPool, sample_data: Path) -> None:
    folder = sample_data / "handbook"
    refused: dict[str, Rejection] = {}
    for path in sorted(folder.rglob("*.md")):
        try:
            assert parse(pool, path).title
        except DocumentRejected as error:
            refused[str(path.relative_to(folder))] = error.reason
    assert refused == dict.fromkeys(FRONT_MATTER_ONLY, Rejection.NO_TEXT)


def test_quarterly_report_preserves_its_statements(sample_data: Path) -> None:
    found = pdf_document.parse(sample_data / "sec-10-q" / "2023 Q1 AMZN.pdf", Limits())
    statement = next(one for one in found.elements if "Net product sales | $ 56,455 | $ 56,981" in one.text)
    assert (statement.category, statement.page, statement.header_rows) == ("Table", 4, 3)
    assert "CONSOLIDATED STATEMENTS OF OPERATIONS" in statement.section[-1]
    assert statement.text.split("\n")[2] == " | 2022 | 2023"
    assert not any(element.text == "Table of Contents" for element in found.elements)
