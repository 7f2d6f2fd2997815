"""The command palette finds pages, documents and conversations that one may open."""

import re
from collections.abc import Callable

from django.test import Client

from cairn.access.models import Grant, Role
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document
from retrieval.models import Message
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]


def found(client: Client, query: str = "") -> list[str]:
    html = text_of(client.get("/palette", {"q": query}))
    return re.findall(r'role="option"[^>]*href="([^"]*)"', html)


def test_palette_lists_permitted_pages(
    signed_in: SignIn, rob: User, mia: User, admin: User, ready: Document
) -> None:
    everybody = ["/", "/library", "/account"]
    assert found(signed_in(rob)) == everybody
    assert "/admin/knowledge-bases" in found(signed_in(mia))
    assert "/admin/users" not in found(signed_in(mia))
    assert "/admin/users" in found(signed_in(admin))
    assert found(signed_in(admin), "AUDI") == ["/admin/audit"]


def test_palette_finds_only_readable_documents_and_knowledge_bases(
    signed_in: SignIn, rob: User, ready: Document, grant: Callable[[User, Role], None]
) -> None:
    client = signed_in(rob)
    assert found(client, "leave rules") == found(client, "handbook") == []
    grant(rob, Role.READER)
    assert found(client, "LEAVE rules") == [f"/library/documents/{ready.id}"]
    assert found(client, "handbook") == ["/library/handbook"]
    readers_replace(document=ready, readers=[], actor=None)
    assert found(client, "leave rules") == []
    readers_replace(document=ready, readers=["everyone"], actor=None)
    Grant.objects.filter(user=rob).delete()
    assert found(client, "leave rules") == found(client, "handbook") == []


def test_palette_finds_only_own_conversations(
    signed_in: SignIn, mia: User, rob: User, answered: Callable[..., Message]
) -> None:
    message = answered(mia, question="About giving")
    address = f"/conversations/{message.conversation_id}"
    for query in ("", "giving", "40 hours"):
        assert address in found(signed_in(mia), query)
        assert address not in found(signed_in(rob), query)


def test_palette_text_is_escaped(signed_in: SignIn, mia: User, ready: Document) -> None:
    Document.objects.filter(pk=ready.pk).update(title="<script>leave</script>")
    html = text_of(signed_in(mia).get("/palette", {"q": "<script>leave"}))
    assert "&lt;script&gt;leave&lt;/script&gt;" in html
    assert "<script>" not in html
    nothing = text_of(signed_in(mia).get("/palette", {"q": "<b>zebra\0"}))
    assert "No results for “&lt;b&gt;zebra”" in nothing
