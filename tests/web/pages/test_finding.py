"""The library's search, as its page shows it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from tests.web.api.conftest import index, indexed, parts
from tests.web.api.test_library import made
from tests.web.pages.conftest import text_of

__all__ = ["index", "parts"]

SignIn = Callable[[User], Client]
Grant = Callable[[User, Role], None]


def test_library_row_shows_location_owner_and_freshness(
    signed_in: SignIn, mia: User, base: KnowledgeBase
) -> None:
    made(base, "Leave", owner=mia, review_by=timezone.localdate() - timedelta(days=2))
    html = text_of(signed_in(mia).get("/library"))
    assert "1 document<" in html
    for text in ("Leave", "Handbook", "PDF", "mia", "Review overdue since", "data-ago"):
        assert text in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=leave", True), ("q=pay", False), ("type=pdf", True), ("type=mail", False),
        ("type=nonsense", True),
        ("base=handbook", True), ("base=elsewhere", False), ("within=7", True), ("within=nonsense", True),
        ("review=unset", True), ("review=overdue", False), ("sort=title", True), ("sort=nonsense", True),
        ("q=%00", True), ("owner=x", False), ("cursor=nonsense", False),
    ],
)  # fmt: skip
def test_library_page_ignores_invalid_filters(
    signed_in: SignIn, mia: User, base: KnowledgeBase, query: str, found: bool
) -> None:
    made(base, "Leave")
    response = signed_in(mia).get(f"/documents?{query}")
    assert response.status_code == 200
    assert ("Leave" in text_of(response)) is found


def test_unreadable_documents_are_not_listed_counted_or_owned(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase, grant: Grant
) -> None:
    grant(rob, Role.READER)
    made(base, "Leave")
    client = signed_in(rob)
    before = [text_of(client.get(path)) for path in ("/documents", "/documents?q=leave")]
    hidden = made(base, "Leave of the board", owner=mia)
    readers_replace(document=hidden, readers=[], actor=None)
    assert [text_of(client.get(path)) for path in ("/documents", "/documents?q=leave")] == before
    assert "mia" not in text_of(client.get("/library"))
    assert "mia" in text_of(signed_in(mia).get("/library"))


def test_library_results_are_paged(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    for number in range(60):
        made(base, f"Chapter {number:02}")
    client = signed_in(mia)
    first = text_of(client.get("/documents?sort=title"))
    assert "60 documents" in first
    assert first.count("data-document=") == 50
    address = first.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    second = text_of(client.get(address))
    assert second.count("data-document=") == 10
    assert "Chapter 59" in second
    assert "60 documents" not in second


def test_search_inside_documents_lists_passages_by_document(
    signed_in: SignIn, mia: User, rob: User, document: Document, grant: Grant, parts: Engine
) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.", "Leave is asked for in writing.")
    client = signed_in(mia)
    html = text_of(client.get("/documents/passages?q=leave days"))
    assert html.count("data-document=") == 1
    assert "Employees get 25 <mark>days</mark> of" in html
    assert "?chunk=" in html
    assert "Employees get 25" in text_of(client.get("/documents/passages?q=leave days&review=unset"))
    assert "Employees get 25" not in text_of(client.get("/documents/passages?q=leave days&review=overdue"))
    assert "Employees get 25" not in text_of(signed_in(rob).get("/documents/passages?q=leave days"))
    assert "in your own words" in text_of(client.get("/documents/passages"))


def test_document_page_names_its_owner(
    signed_in: SignIn, mia: User, rob: User, ready: Document, grant: Grant
) -> None:
    grant(rob, Role.READER)
    html = text_of(signed_in(rob).get(f"/library/documents/{ready.id}"))
    assert f"/?document={ready.id}" in html
    assert "No review date" in html
    assert 'id="care-form"' not in html
    Document.objects.update(owner=rob, review_by=timezone.localdate() + timedelta(days=3))
    html = text_of(signed_in(mia).get(f"/library/documents/{ready.id}"))
    assert 'id="care-form"' in html
    assert "Review due by" in html
    assert "no longer has access" not in html
    readers_replace(document=Document.objects.get(), readers=[], actor=None)
    assert "no longer has access" in text_of(signed_in(mia).get(f"/library/documents/{ready.id}"))


def test_versions_are_listed(signed_in: SignIn, mia: User, ready: Document) -> None:
    ready.versions.create(number=2, filename="newer.md", size=1, sha256="1", state="failed")
    html = text_of(signed_in(mia).get(f"/library/documents/{ready.id}"))
    assert "2 versions" in html
    assert "content?version=2" in html


def test_query_words_are_marked_in_titles(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    made(base, "Übung <b>annual</b> leave")
    html = text_of(signed_in(mia).get("/documents?q=LEAV übung %3Cb%3E"))
    assert "<mark>Übung</mark> <mark>&lt;b&gt;</mark>annual&lt;/b&gt; <mark>leav</mark>e</a>" in html
    assert "<mark>" not in text_of(signed_in(mia).get("/documents"))


def test_query_words_are_marked_in_passages(
    signed_in: SignIn, mia: User, document: Document, parts: Engine
) -> None:
    long = "Nothing here. " * 40 + "Unused <i>days</i> of a leave lapse in April. " + "Nor there. " * 40
    indexed(document, parts, long)
    html = text_of(signed_in(mia).get("/documents/passages?q=What happens to a day of leave?"))
    assert "Unused &lt;i&gt;<mark>days</mark>&lt;/i&gt; of a <mark>leave</mark> lapse in April." in html
    assert "…Nothing here." in html
    assert html.count("…</p>") == 1


def test_library_search_corrects_spelling_and_offers_the_original(
    signed_in: SignIn, mia: User, rob: User, document: Document, grant: Grant, parts: Engine
) -> None:
    indexed(
        document, parts, "Employees get 25 days of leave a year.", "Bicycles are parked behind the house."
    )
    client = signed_in(mia)
    html = text_of(client.get("/documents/passages?q=leave of emplyoees"))
    assert "Searched for “employees” instead of “emplyoees”." in html
    assert 'data-ask="leave of &quot;emplyoees&quot;"' in html
    assert "<mark>Employees</mark> get 25 days" in html
    assert "instead of" not in text_of(client.get('/documents/passages?q=leave of "emplyoees"'))
    grant(rob, Role.READER)
    readers_replace(document=document, readers=[f"user:{mia.id}"], actor=mia.id)
    assert "employees" not in text_of(signed_in(rob).get("/documents/passages?q=leave of emplyoees"))
