"""The page of a document: its text, its passages, and embedded files."""

import json
import re
from collections.abc import Callable
from uuid import uuid5

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Chunk, Document, DocumentVersion
from ingestion.models import Job
from tests.web.pages.conftest import SENTENCE, text_of

SignIn = Callable[[User], Client]
Grant = Callable[[User, Role], None]


def test_document_page_highlights_the_linked_passage(signed_in: SignIn, mia: User, ready: Document) -> None:
    client = signed_in(mia)
    html = text_of(client.get(f"/library/documents/{ready.id}?chunk={ready.active_version_id}"))
    [data] = re.findall(r'<script id="passage" type="application/json">(.*?)</script>', html)
    assert json.loads(data) == {"quote": SENTENCE, "page": None, "section": ["Giving leave"], "location": ""}


@pytest.mark.parametrize("chunk", ["", "nonsense", "00000000-0000-0000-0000-000000000000"])
def test_unknown_passage_is_not_highlighted(
    signed_in: SignIn, mia: User, ready: Document, chunk: str
) -> None:
    response = signed_in(mia).get(f"/library/documents/{ready.id}?chunk={chunk}")
    assert response.status_code == 200
    assert 'id="passage"' not in text_of(response)


def test_passage_of_another_document_is_not_highlighted(
    signed_in: SignIn, mia: User, ready: Document
) -> None:
    chunk = ready.active_version_id
    other = Document.objects.create(knowledge_base=ready.knowledge_base, source_key="b", title="Other")
    html = text_of(signed_in(mia).get(f"/library/documents/{other.id}?chunk={chunk}"))
    assert "Other" in html
    assert SENTENCE not in html


def test_parsing_report_is_shown_in_sentences(signed_in: SignIn, mia: User, ready: Document) -> None:
    report = {"pages_without_text": [3, 4], "tables": 2, "warnings": ["Two links were left out."]}
    DocumentVersion.objects.update(report=report, properties={"from": "ada@example.org"})
    html = text_of(signed_in(mia).get(f"/library/documents/{ready.id}"))
    for text in (
        "found on pages 3 to 4,",
        "2 tables, split by row",
        "Two links were left out.",
        "ada@example.org",
    ):
        assert text in html


def test_passages_page_shows_passages_as_indexed(signed_in: SignIn, mia: User, ready: Document) -> None:
    Chunk.objects.update(context="Leave rules &amp; more", page=4)
    html = text_of(signed_in(mia).get(f"/library/documents/{ready.id}/passages"))
    for text in (SENTENCE, "Leave rules &amp;amp; more", "page 4", "9 tokens"):
        assert text in html
    assert f"?chunk={ready.active_version_id}" in html


def test_passages_page_is_paged(signed_in: SignIn, mia: User, ready: Document) -> None:
    version = ready.active_version
    assert version is not None
    Chunk.objects.bulk_create(
        Chunk(
            id=uuid5(version.id, str(n)), version=version, ordinal=n, text=f"text {n}.", tokens=1, sha256=""
        )
        for n in range(1, 70)
    )
    client, path, seen = signed_in(mia), f"/library/documents/{ready.id}/passages", list[str]()
    while path:
        html = text_of(client.get(path))
        seen += re.findall(r'id="passage-(\d+)"', html)
        path = next(iter(re.findall(r'hx-get="(\S+/passages/after/\d+)"', html)), "")
    assert seen == [str(n) for n in range(70)]
    assert client.get(f"/library/documents/{ready.id}/passages/after/{'9' * 30}").status_code == 200


def test_passages_page_needs_read_access(signed_in: SignIn, rob: User, ready: Document, grant: Grant) -> None:
    paths = [f"/library/documents/{ready.id}/passages", f"/library/documents/{ready.id}/passages/after/0"]
    client = signed_in(rob)
    assert [client.get(path).status_code for path in paths] == [404, 404]
    grant(rob, Role.READER)
    assert [client.get(path).status_code for path in paths] == [200, 200]
    readers_replace(document=ready, readers=[], actor=None)
    assert [client.get(path).status_code for path in paths] == [404, 404]


def test_failed_document_has_a_message_instead_of_passages(
    signed_in: SignIn, mia: User, document: Document
) -> None:
    Job.objects.update(stage="failed")
    DocumentVersion.objects.update(state="failed", error_code="no_text", error_message="It is a scan.")
    html = text_of(signed_in(mia).get(f"/library/documents/{document.id}/passages"))
    assert "It is a scan." in html
    assert "This file couldn’t be processed, so it isn’t searchable." in html


def test_child_documents_are_listed_and_link_their_parent(
    signed_in: SignIn, mia: User, ready: Document
) -> None:
    inside = Document.objects.create(
        knowledge_base=ready.knowledge_base, parent=ready, source_key="x", title="Ticket"
    )
    client = signed_in(mia)
    above = text_of(client.get(f"/library/documents/{ready.id}"))
    assert "1 embedded file" in above
    assert f'href="/library/documents/{inside.id}"' in above
    below = text_of(client.get(f"/library/documents/{inside.id}"))
    assert "From Leave rules" in below
    assert f'href="/library/documents/{ready.id}"' in below
