"""A workbook from its upload to an answer: a row is found, and cited by its cells."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from openpyxl import Workbook

from cairn.library.models import KnowledgeBase
from ingestion.parse import parser_pool
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.pipeline import run
from retrieval.engine import Engine, use
from tests.fakes import FakeChat
from tests.ingestion.parse.workbooks import workbook
from tests.web.api.conftest import Caller
from tests.web.working import files_on_disk

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = ["City", "Hotel", "Price"]
RATES = (
    ["Bonn", "Garden Inn by the river", 110],
    ["Kiel", "Harbour House, near the ferry", 95],
    ["Oslo", "Grand Hotel, with breakfast", 140],
    ["Rome", "Villa Verde, without a lift", 125],
)


@pytest.fixture(autouse=True)
def files_in_memory(settings: Any, tmp_path: Path) -> None:
    """Store files on disk for once."""
    files_on_disk(settings, tmp_path / "files")


def in_euros(made: Workbook) -> None:
    for row in made["Hotels"]["D5:D8"]:
        for cell in row:
            cell.number_format = '#,##0 "€"'


@pytest.fixture
def ready(
    mia: Caller, base: KnowledgeBase, parts: Engine, pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Rates.xlsx, worked on as a worker does it; its table begins in B4."""
    monkeypatch.setattr(parser_pool, "_pool", pool)
    rows = ([], ["", "Hotels of the year"], [], *(["", *row] for row in (HEADER, *RATES)))
    answer = mia.upload(str(base.id), "Rates.xlsx", workbook(*rows, title="Hotels", prepare=in_euros)).json()
    run.run(UUID(answer["job"]["id"]))
    document: dict[str, Any] = mia.get(f"/documents/{answer['document']['id']}").json()
    assert document["status"] == "ready", document
    return document


def test_workbook_report_counts_tables(ready: dict[str, Any]) -> None:
    assert ready["media_type"].endswith("spreadsheetml.sheet")
    assert ready["report"]["tables"] == 1


def test_workbook_rendition_has_rows_with_cells(mia: Caller, ready: dict[str, Any]) -> None:
    (table,) = [
        one
        for one in mia.get(f"/documents/{ready['id']}/rendition").json()["elements"]
        if one["category"] == "Table"
    ]
    assert table["section"] == ["Hotels", "Hotels of the year"]
    assert table["text"].split("\n")[3] == "Oslo | Grand Hotel, with breakfast | 140 €"
    assert (table["sheet"], table["cells"][3]) == ("Hotels", "B7:D7")


def test_hit_in_a_workbook_names_its_cells(mia: Caller, ready: dict[str, Any]) -> None:
    (hit,) = mia.post("/search", {"query": "hotel in Oslo"}).json()["results"]
    assert hit["text"].startswith("City | Hotel | Price\nBonn | Garden Inn by the river | 110 €")
    assert hit["location"] == "Hotels!B5:D8"
    assert hit["page"] is None


def test_citation_of_a_row_names_its_cells(mia: Caller, ready: dict[str, Any], parts: Engine) -> None:
    model = FakeChat("In Oslo it is the Grand Hotel, with breakfast, for 140 € [1].")
    with use(Engine(parts.embedder, parts.index, model)):
        answer = mia.post("/ask", {"question": "What is the price of the hotel in Oslo?"}).json()
    assert answer["verdict"] == "supported", answer["reason"]
    (citation,) = answer["citations"]
    assert citation["quote"] == "Oslo | Grand Hotel, with breakfast | 140 €"
    assert citation["location"] == "Hotels!B7:D7"
