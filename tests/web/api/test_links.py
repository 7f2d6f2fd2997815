"""Links of a document, from its upload to the citations of an answer."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from markdown_it import MarkdownIt

from cairn.library.models import Chunk, KnowledgeBase
from ingestion.parse import parser_pool
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.pipeline import run
from retrieval.engine import Engine, use
from retrieval.models import Citation
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller
from tests.web.working import files_on_disk

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "How do employees book a trip?"
PORTAL = "https://travel.example.org/book"
TRIPS = f"""# Trips

Employees book a trip in the [travel portal]({PORTAL}), never by [phone](phone.md).

Bicycles are parked behind the [main house](https://example.org/house).
"""


@pytest.fixture(autouse=True)
def files_in_memory(settings: Any, tmp_path: Path) -> None:
    """Store files on disk for once."""
    files_on_disk(settings, tmp_path / "files")


@pytest.fixture
def trips(
    mia: Caller, base: KnowledgeBase, parts: Engine, pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Trips.md, worked on as a worker does it."""
    monkeypatch.setattr(parser_pool, "_pool", pool)
    answer = mia.upload(str(base.id), "Trips.md", TRIPS.encode()).json()
    run.run(UUID(answer["job"]["id"]))
    document: str = answer["document"]["id"]
    assert mia.get(f"/documents/{document}").json()["status"] == "ready"
    return document


def asked(mia: Caller, parts: Engine, *replies: str) -> dict[str, Any]:
    with use(Engine(parts.embedder, parts.index, FakeChat(*replies))):
        answer: dict[str, Any] = mia.post("/ask", {"question": QUESTION}).json()
    return answer


def test_citation_has_the_links_of_its_quote(mia: Caller, trips: str, parts: Engine) -> None:
    answer = asked(mia, parts, "Employees book a trip in the travel portal, never by phone [1].")
    [citation] = answer["citations"]
    assert "travel portal" in citation["quote"]
    assert citation["links"] == [{"text": "travel portal", "url": PORTAL}]
    assert mia.get(f"/messages/{answer['id']}").json()["citations"] == [citation]


def test_links_leave_passage_text_unchanged(trips: str) -> None:
    [chunk] = Chunk.objects.all()
    assert chunk.text == (
        "Employees book a trip in the travel portal, never by phone.\n\n"
        "Bicycles are parked behind the main house."
    )
    assert [chunk.text[start:end] for start, end, _ in chunk.links or ()] == ["travel portal", "main house"]


def test_passages_indexed_without_links_are_answered_without_them(
    mia: Caller, trips: str, parts: Engine
) -> None:
    Chunk.objects.update(links=None)
    [citation] = asked(mia, parts, "Employees book a trip in the travel portal [1].")["citations"]
    assert citation["links"] == []


def test_stored_link_target_is_validated_again(mia: Caller, trips: str, parts: Engine) -> None:
    answer = asked(mia, parts, "Employees book a trip in the travel portal [1].")
    Citation.objects.update(links=[[0, 9, "javascript:alert(1)"], [10, 14, "https://a@example.org/"]])
    assert mia.get(f"/messages/{answer['id']}").json()["citations"][0]["links"] == []


def test_links_written_by_a_model_are_ignored(mia: Caller, trips: str, parts: Engine) -> None:
    reply = (
        "Employees book a trip in the [travel portal](https://evil.example/) <https://evil.example/b> [1]."
    )
    answer = asked(mia, parts, reply)
    assert [link["url"] for each in answer["citations"] for link in each["links"]] == [PORTAL]
    assert "](" not in answer["answer"]


def test_copied_text_and_exports_have_the_links(mia: Caller, trips: str, parts: Engine) -> None:
    answer = asked(mia, parts, "Employees book a trip in the travel portal [1].")
    quote = answer["citations"][0]["quote"]
    Citation.objects.update(
        links=[[0, len(quote), "https://example.org/a_(b)?c=[d]"], [0, 9, "https://example.org/`e`"]]
    )
    lines = (
        rf"- [{quote}](https://example.org/a_%28b%29?c=[d])",
        "- [Employees](https://example.org/%60e%60)",
    )
    copied = mia.get(f"/messages/{answer['id']}/markdown").content.decode()
    exported = mia.get(f"/conversations/{answer['conversation']}/export").content.decode()
    assert all(f"\n  {line}\n" in copied for line in lines)
    assert all(f"\n{line}\n" in exported for line in lines)
    as_json = mia.get(f"/conversations/{answer['conversation']}/export?format=json").json()
    assert as_json["messages"][0]["citations"][0]["links"][1]["text"] == "Employees"


def test_link_text_cannot_break_out_of_markdown(mia: Caller, trips: str, parts: Engine) -> None:
    answer = asked(mia, parts, "Employees book a trip in the travel portal [1].")
    quote = "x](https://evil.example) ![p](https://evil.example/p.png) <b>"
    Citation.objects.update(quote=quote, links=[[0, len(quote), PORTAL]])
    copied = mia.get(f"/messages/{answer['id']}/markdown").content.decode()
    html = MarkdownIt("commonmark").render(copied.partition("Sources:")[2])
    assert re.findall(r'(?:href|src)="(?!http://testserver)([^"]*)"', html) == [PORTAL]
    assert "<b>" not in html
