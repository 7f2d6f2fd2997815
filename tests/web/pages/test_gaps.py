"""Gaps in the console, refusals, and notices."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from retrieval.gaps.clusters import base_key
from retrieval.gaps.models import Gap, GapQuestion, GapState, Notice, NoticeKind, VerifiedAnswer, Why
from retrieval.models import Message
from tests.bases import make_base
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
HOSTILE = "<script>alert('lunch')</script> What is for lunch?"


@pytest.fixture
def ria(make_user: Callable[..., User], grant: Callable[[User, Role], None]) -> User:
    user = make_user("ria")
    grant(user, Role.READER)
    return user


@pytest.fixture
def refused(base: KnowledgeBase, answered: Callable[..., Message], ria: User) -> GapQuestion:
    """A question of ria's in a gap of `base`."""
    gap = Gap.objects.create(base_key=base_key([base.id]))
    gap.knowledge_bases.add(base)
    fields = {"answer": "", "verdict": "refused", "reason": "No results.", "question": HOSTILE}
    message = answered(ria, **fields)
    message.citations.all().delete()
    return GapQuestion.objects.create(message=message, gap=gap, why=Why.REFUSED, bases=[str(base.id)])


def test_gaps_page_lists_all_for_managers_and_assigned_for_editors(
    signed_in: SignIn, refused: GapQuestion, mia: User, rob: User, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    html = text_of(signed_in(mia).get("/admin/gaps"))
    assert "What is for lunch?" in html
    assert "<script>alert" not in html
    assert "ria" not in html.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "What is for lunch?" not in text_of(signed_in(rob).get("/admin/gaps"))
    Gap.objects.update(owner=rob, state=GapState.ASSIGNED)
    assert "What is for lunch?" in text_of(signed_in(rob).get("/admin/gaps"))


def test_gap_list_is_filtered(
    signed_in: SignIn, refused: GapQuestion, mia: User, base: KnowledgeBase
) -> None:
    client = signed_in(mia)
    for query, shown in (
        (f"kb={base.slug}", True),
        ("kb=elsewhere", False),
        ("state=open", True),
        ("state=answered", False),
        ("state=all&owner=nobody", True),
        (f"owner={mia.id}", False),
        ("owner=no-id&page=x", False),
    ):
        assert ("What is for lunch?" in text_of(client.get(f"/admin/gaps?{query}"))) is shown, query


def test_gap_page_hides_user_names(signed_in: SignIn, refused: GapQuestion, mia: User) -> None:
    page = f"/admin/gaps/{refused.gap_id}"
    html = text_of(signed_in(mia).get(page)).partition('id="asked-title"')[2]
    asked = html.partition("</section>")[0]
    assert "No results." in asked
    assert "ria" not in asked
    GapQuestion.objects.update(with_name=True)
    User.objects.filter(username="ria").update(display_name="Maria Costa")
    html = text_of(signed_in(mia).get(page)).partition('id="asked-title"')[2]
    assert "Maria Costa (ria)" in html.partition("</section>")[0]


def test_verifier_sees_the_name_shown_by_sources(signed_in: SignIn, refused: GapQuestion, mia: User) -> None:
    User.objects.filter(pk=mia.pk).update(display_name="Mia Lang")
    assert "“Verified by Mia Lang (mia)”" in text_of(signed_in(mia).get(f"/admin/gaps/{refused.gap_id}"))


def test_gap_of_another_knowledge_base_is_not_found(
    signed_in: SignIn, refused: GapQuestion, ria: User, rob: User
) -> None:
    for user in (ria, rob):
        assert signed_in(user).get(f"/admin/gaps/{refused.gap_id}").status_code == 404


def test_gap_hides_knowledge_bases_unreadable_for_the_manager(
    signed_in: SignIn, refused: GapQuestion, mia: User, admin: User, base: KnowledgeBase
) -> None:
    other = make_base(name="Merger", principal=principal_for_user(admin))
    Gap.objects.get().knowledge_bases.add(other)
    pages = ("/admin/gaps", f"/admin/gaps/{refused.gap_id}", f"/api/v1/gaps/{refused.gap_id}")
    for user, shown in ((mia, False), (admin, True)):
        client = signed_in(user)
        for page in pages:
            html = text_of(client.get(page)).partition("<main")
            text = html[2] or html[0]
            assert ("Merger" in text or str(other.id) in text) is shown, (user, page)
        found = text_of(client.get(f"/admin/gaps?kb={other.slug}"))
        assert ("What is for lunch?" in found) is shown, user
        assert "What is for lunch?" in text_of(client.get(f"/admin/gaps?kb={base.slug}"))


def test_refusal_names_its_viewers_and_can_be_withdrawn(
    signed_in: SignIn, refused: GapQuestion, ria: User, mia: User
) -> None:
    client, message = signed_in(ria), refused.message_id
    html = text_of(client.get(f"/messages/{message}/rendered"))
    assert "The owners will see this question anonymously." in html
    assert "Don’t share" in html
    html = text_of(client.post(f"/messages/{message}/passing-on", {"said": "named"}))
    assert "will see this question and your name" in html
    html = text_of(client.post(f"/messages/{message}/passing-on", {"said": "no"}))
    assert "This question isn’t shared with anyone." in html
    assert signed_in(mia).get(f"/admin/gaps/{refused.gap_id}").status_code == 404
    assert signed_in(mia).post(f"/messages/{message}/passing-on", {"said": "yes"}).status_code == 404


def test_supported_answer_has_no_gap_notice(
    signed_in: SignIn, answered: Callable[..., Message], ria: User
) -> None:
    html = text_of(signed_in(ria).get(f"/messages/{answered(ria).id}/rendered"))
    assert "The owners will see" not in html


def vouched(refused: GapQuestion, document: Document, owner: User, **fields: Any) -> VerifiedAnswer:
    version = document.active_version
    assert version is not None
    gap = Gap.objects.get(questions=refused)
    values = {"until": timezone.localdate() + timedelta(days=9), "sha256": version.sha256, **fields}
    return VerifiedAnswer.objects.create(
        gap=gap, knowledge_base=document.knowledge_base, document=document, title="Lunch", text="Fish.",
        owner=owner, **values,
    )  # fmt: skip


def test_sources_show_their_verifier_until_expiry(
    signed_in: SignIn,
    refused: GapQuestion,
    answered: Callable[..., Message],
    ready: Document,
    ria: User,
    mia: User,
) -> None:
    client, message = signed_in(ria), answered(ria)
    row = vouched(refused, ready, mia)
    User.objects.filter(pk=mia.pk).update(display_name="Mia Lang")
    KnowledgeBase.objects.update(owner=mia)
    html = text_of(client.get(f"/messages/{message.id}/rendered"))
    assert "Verified by Mia Lang (mia) for the question in its title" in html
    assert ", by Mia Lang (mia)" in html
    VerifiedAnswer.objects.update(until=timezone.localdate() - timedelta(days=1))
    assert "Verified by" not in text_of(client.get(f"/messages/{message.id}/rendered"))
    VerifiedAnswer.objects.update(until=row.until, sha256="another")
    assert "Verified by" not in text_of(client.get(f"/messages/{message.id}/rendered"))


def test_verified_answer_is_shown_and_can_be_renewed(
    signed_in: SignIn, refused: GapQuestion, ready: Document, mia: User
) -> None:
    vouched(refused, ready, mia)
    html = text_of(signed_in(mia).get(f"/admin/gaps/{refused.gap_id}"))
    assert "Verified by mia, valid until" in html
    assert "Renew until" in html
    VerifiedAnswer.objects.update(until=timezone.localdate() - timedelta(days=1))
    assert "no longer used" in text_of(signed_in(mia).get(f"/admin/gaps/{refused.gap_id}"))


def test_notices_are_counted_read_and_linked(
    signed_in: SignIn, refused: GapQuestion, ready: Document, ria: User, mia: User
) -> None:
    vouched(refused, ready, mia)
    notice = Notice.objects.create(
        user=ria, kind=NoticeKind.ANSWERED, gap_id=refused.gap_id, message=refused.message
    )
    client = signed_in(ria)
    assert "1 unread" in text_of(client.get("/library"))
    html = text_of(client.get("/notices"))
    assert "Your question can now be answered from “Handbook”." in html
    assert "<script>alert" not in html
    response = client.post(f"/notices/{notice.id}/open")
    assert response["Location"] == f"/?again={refused.message_id}", "questions stay out of addresses"
    html = text_of(client.get(response["Location"]))
    assert "&lt;script&gt;alert" in html
    assert "unread" not in text_of(client.get("/library"))
    assert signed_in(mia).post(f"/notices/{notice.id}/open").status_code == 404


def test_notice_of_an_unreadable_document_has_no_link(
    signed_in: SignIn, refused: GapQuestion, ready: Document, ria: User, mia: User
) -> None:
    vouched(refused, ready, mia)
    notice = Notice.objects.create(
        user=ria, kind=NoticeKind.ANSWERED, gap_id=refused.gap_id, message=refused.message
    )
    Document.objects.update(narrowed=True)
    client = signed_in(ria)
    assert "no longer have access" in text_of(client.get("/notices"))
    assert client.post(f"/notices/{notice.id}/open")["Location"] == "/notices"
    assert client.post("/notices/read")["Location"] == "/notices"


def test_verified_answer_is_labelled_until_expiry(
    signed_in: SignIn,
    refused: GapQuestion,
    answered: Callable[..., Message],
    ready: Document,
    ria: User,
    mia: User,
) -> None:
    client, message = signed_in(ria), answered(ria, mode="verified", verdict="supported")
    page = f"/messages/{message.id}/rendered"
    vouched(refused, ready, mia)
    html = text_of(client.get(page))
    assert "Verified answer by mia" in html
    assert "Supported by" not in html
    VerifiedAnswer.objects.update(owner=None)
    assert "<span>Verified answer</span>" in text_of(client.get(page))
    VerifiedAnswer.objects.update(until=timezone.localdate() - timedelta(days=1))
    html = text_of(client.get(page))
    assert "This answer is no longer verified" in html
    assert "Verified answer" not in html


def test_repeated_question_uses_its_rewrite_and_knowledge_bases(
    signed_in: SignIn, refused: GapQuestion, ria: User, base: KnowledgeBase
) -> None:
    client, page = signed_in(ria), f"/?again={refused.message_id}"
    chosen = f'value="{base.id}" data-name="{base.name}" checked'
    assert chosen not in text_of(client.get(page))
    Message.objects.filter(pk=refused.message_id).update(
        standalone_question="What is for lunch on Fridays?",
        trace={"whole": False, "knowledge_bases": [str(base.id)]},
    )
    html = text_of(client.get(page))
    assert ">What is for lunch on Fridays?</textarea>" in html
    assert chosen in html
