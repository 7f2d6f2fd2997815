"""The access page for managers, and viewing Cairn as another user, for admins."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, readers_replace
from cairn.accounts.models import User
from cairn.accounts.services import group_create, user_update
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from retrieval.models import Conversation, Message
from tests.bases import make_base
from tests.principals import SETUP
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
pytestmark = pytest.mark.django_db


def test_access_page_lists_readers_and_explains_missing_access(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase
) -> None:
    staff = group_create(name="Staff", members=[rob.id])
    client, people = signed_in(mia), f"/admin/knowledge-bases/{base.slug}/people"
    assert "rob" not in text_of(client.get(people))
    assert "No access: not granted to them" in text_of(client.get(people, {"q": "ROB"}))
    grant_give(knowledge_base=base, subject=f"group:{staff.id}", role=Role.EDITOR, principal=SETUP)
    assert "Member of “Staff” (editor)." in text_of(client.get(people))
    assert people in text_of(client.get(f"/admin/knowledge-bases/{base.slug}"))


def test_document_access_page_lists_people_a_restriction_excludes(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase, document: Document
) -> None:
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    client, people = signed_in(mia), f"/library/documents/{document.id}/people"
    assert "rob" in text_of(client.get(people))
    readers_replace(document=document, readers=[], actor=None)
    assert "rob" not in text_of(client.get(people))
    assert "this person isn’t one of them" in text_of(client.get(people, {"q": "rob"}))
    assert "this person is included as manager" in text_of(client.get(people, {"q": "mia"}))
    assert people in text_of(client.get(f"/library/documents/{document.id}/access"))


def test_only_managers_see_access_pages(
    signed_in: SignIn, rob: User, base: KnowledgeBase, document: Document, grant: Callable[[User, Role], None]
) -> None:
    paths = [
        f"/admin/knowledge-bases/{base.slug}/people",
        f"/library/documents/{document.id}/people",
        f"/library/documents/{document.id}/access",
    ]
    assert [signed_in(rob).get(path).status_code for path in paths] == [404, 404, 404]
    grant(rob, Role.EDITOR)
    assert [signed_in(rob).get(path).status_code for path in paths] == [403, 403, 403]
    assert "/access" not in text_of(signed_in(rob).get(f"/library/documents/{document.id}"))


@pytest.fixture
def viewing(signed_in: SignIn, admin: User, rob: User) -> Client:
    """Ada, who sees Cairn as rob does."""
    client = signed_in(admin)
    assert client.post(f"/admin/users/{rob.id}/view-as").status_code == 302
    return client


def test_admin_viewing_as_a_user_sees_only_what_the_user_reads(
    viewing: Client, rob: User, base: KnowledgeBase, ready: Document, grant: Callable[[User, Role], None]
) -> None:
    assert "Viewing as rob (read-only)" in text_of(viewing.get("/library"))
    assert viewing.get("/api/v1/me").json()["username"] == "rob"
    assert viewing.get(f"/library/documents/{ready.id}").status_code == 404
    assert viewing.get("/admin/users").status_code == 403
    grant(rob, Role.READER)
    assert viewing.get(f"/library/documents/{ready.id}").status_code == 200
    assert viewing.post("/view-as/stop").status_code == 302
    assert viewing.get("/api/v1/me").json()["username"] == "ada"


def test_viewing_as_a_user_is_read_only(
    viewing: Client, rob: User, base: KnowledgeBase, ready: Document, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.MANAGER)
    json: dict[str, Any] = {"content_type": "application/json"}
    attempts = [
        viewing.patch(f"/api/v1/documents/{ready.id}", {"title": "Mine"}, **json),
        viewing.delete(f"/api/v1/documents/{ready.id}"),
        viewing.put(f"/api/v1/knowledge-bases/{base.id}/grants", [], **json),
        viewing.post("/api/v1/ask", {"question": "Why?"}, **json),
        viewing.post("/api/v1/knowledge-bases", {"name": "Mine"}, **json),
    ]
    assert [answer.json()["code"] for answer in attempts] == ["read_only"] * len(attempts)
    assert viewing.post("/account/keys", {"label": "x", "scopes": ["ask"]}).status_code == 403
    assert viewing.get("/account").status_code == 403
    assert not Conversation.objects.exists()
    search = viewing.post("/api/v1/search", {"query": "leave", "knowledge_bases": [str(rob.id)]}, **json)
    assert search.json()["code"] == "not_found"  # searching is allowed, there is only nothing of this name
    foretold = viewing.post(f"/api/v1/knowledge-bases/{base.id}/grants/effect", [], **json)
    assert foretold.status_code == 200


def test_viewing_as_a_user_hides_conversations(
    viewing: Client, rob: User, answered: Callable[..., Message], grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    message = answered(rob, question="Am I ill?")
    assert viewing.get("/api/v1/conversations").json()["items"] == []
    assert viewing.get(f"/api/v1/conversations/{message.conversation_id}").status_code == 404
    assert viewing.get(f"/conversations/{message.conversation_id}").status_code == 404
    assert viewing.get(f"/messages/{message.id}/rendered").status_code == 404
    assert viewing.get(f"/?again={message.id}").status_code == 404
    assert "Am I ill?" not in text_of(viewing.get("/"))


def test_viewing_is_on_record_and_for_admins_only(
    viewing: Client, signed_in: SignIn, rob: User, mia: User, admin: User
) -> None:
    viewing.post("/view-as/stop")
    events = Event.objects.filter(action__startswith="view_as").order_by("id")
    assert [(e.action, e.actor, e.subject) for e in events] == [
        ("view_as.started", admin.id, f"user:{rob.id}"),
        ("view_as.ended", admin.id, f"user:{rob.id}"),
    ]
    assert signed_in(mia).post(f"/admin/users/{rob.id}/view-as").status_code == 403
    assert signed_in(admin).post(f"/admin/users/{admin.id}/view-as").status_code == 403
    assert signed_in(admin).post("/admin/users/nobody/view-as").status_code == 404
    assert Client().post("/view-as/stop").status_code == 302


def test_viewing_as_a_user_ends_when_either_loses_rights(
    viewing: Client, signed_in: SignIn, rob: User, admin: User, mia: User
) -> None:
    user_update(rob, is_active=False)
    assert viewing.get("/api/v1/me").json()["username"] == "ada"
    user_update(rob, is_active=True)
    assert viewing.get("/api/v1/me").json()["username"] == "rob"
    user_update(mia, is_admin=True)
    user_update(admin, is_admin=False)
    me = viewing.get("/api/v1/me").json()
    assert (me["username"], me["is_admin"]) == ("ada", False)


def test_admin_viewing_as_a_manager_sees_managed_pages(viewing: Client, rob: User, mia: User) -> None:
    other = make_base(name="Other", principal=principal_for_user(rob))
    assert viewing.get(f"/admin/knowledge-bases/{other.slug}").status_code == 200
