"""Content upkeep: each list contains the right documents of the knowledge bases one manages."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from retrieval.statistics.models import DocumentUse
from tests.bases import make_base
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
PAGE = "/admin/documents"
HOSTILE = '"><script>alert(1)</script>'


def aged(document: Document, days: int) -> None:
    DocumentVersion.objects.filter(document=document).update(created_at=timezone.now() - timedelta(days=days))


def listed(client: Client, **query: str) -> bool:
    return "Leave rules" in text_of(client.get(PAGE, query))


def test_documents_administration_needs_a_manager(
    signed_in: SignIn, rob: User, base: KnowledgeBase, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    assert signed_in(rob).get(PAGE).status_code == 403


def test_managers_see_outdated_documents_of_their_bases(
    signed_in: SignIn, admin: User, rob: User, mia: User, ready: Document
) -> None:
    aged(ready, 400)
    make_base(name="Other", principal=principal_for_user(rob))
    for user, sees in ((mia, True), (admin, True), (rob, False)):
        assert listed(signed_in(user), show="old") is sees


def test_overdue_list_uses_the_review_date(signed_in: SignIn, mia: User, ready: Document) -> None:
    client = signed_in(mia)
    today = timezone.now().date()
    for review_by, overdue in ((None, False), (today, False), (today - timedelta(days=1), True)):
        ready.review_by = review_by
        ready.save()
        assert listed(client) is overdue


def test_old_list_uses_the_latest_version(signed_in: SignIn, mia: User, ready: Document) -> None:
    client = signed_in(mia)
    aged(ready, 100)
    ready.title = "Leave rules 2"
    ready.save()
    assert listed(client, show="old", span="3")
    assert not listed(client, show="old", span="6")


@pytest.mark.parametrize("used", ["cited_on", "opened_on"])
def test_unread_list_excludes_cited_and_opened_documents(
    signed_in: SignIn, mia: User, ready: Document, used: str
) -> None:
    client = signed_in(mia)
    assert not listed(client, show="unread", span="1"), "new ones have had no chance yet"
    aged(ready, 100)
    assert listed(client, show="unread", span="3")
    DocumentUse.objects.create(document=ready, **{used: timezone.now().date() - timedelta(days=60)})
    assert not listed(client, show="unread", span="3")
    assert listed(client, show="unread", span="1")


def test_opening_a_document_is_noted_but_not_by_an_admin_in_disguise(
    signed_in: SignIn, admin: User, mia: User, ready: Document
) -> None:
    disguised = signed_in(admin)
    disguised.post(f"/admin/users/{mia.id}/view-as")
    assert disguised.get(f"/library/documents/{ready.id}").status_code == 200
    assert not DocumentUse.objects.exists()
    signed_in(mia).get(f"/library/documents/{ready.id}")
    assert DocumentUse.objects.get().opened_on == timezone.now().date()


def test_outdated_documents_are_filtered_by_base_owner_and_title(
    signed_in: SignIn, mia: User, ready: Document
) -> None:
    client = signed_in(mia)
    aged(ready, 400)
    ready.owner = mia
    ready.save()
    for name, fits, fits_not in (
        ("base", "handbook", "other"),
        ("owner", "MIA", "rob"),
        ("q", "leave", "tax"),
    ):
        assert listed(client, show="old", **{name: fits})
        assert not listed(client, show="old", **{name: fits_not})


def test_stale_document_gets_a_date_or_is_deleted_over_the_api(
    signed_in: SignIn, mia: User, ready: Document
) -> None:
    aged(ready, 400)
    html = text_of(signed_in(mia).get(PAGE, {"show": "old"}))
    assert f'data-api="/api/v1/documents/{ready.id}" data-method="PATCH"' in html
    assert f'data-remove-api="/api/v1/documents/{ready.id}"' in html


@pytest.mark.parametrize(
    "query", [{}, {"show": "x", "span": "-1", "page": "99999"}, {"q": "\0", "owner": HOSTILE}]
)
def test_empty_outdated_list_has_a_message(
    signed_in: SignIn, mia: User, ready: Document, query: dict[str, str]
) -> None:
    html = text_of(signed_in(mia).get(PAGE, query))
    assert "No documents are overdue for review." in html
    assert "<script>alert" not in html


def test_hostile_titles_stay_text(signed_in: SignIn, mia: User, ready: Document) -> None:
    aged(ready, 400)
    ready.title = HOSTILE
    ready.save()
    html = text_of(signed_in(mia).get(PAGE, {"show": "old"}))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
