from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.gold_questions import gold_question_create
from retrieval.models import Message
from tests.bases import make_base
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
NEW = "/admin/evaluation/gold-questions/new"


@pytest.fixture
def mias(signed_in: SignIn, mia: User, engine_override: Engine) -> Client:
    return signed_in(mia)


def boxes(response: Any) -> list[tuple[str, bool]]:
    """Documents that the form offers, and whether each is chosen."""
    labels = text_of(response).split('name="relevant" value="')[1:]
    return [(label.split('"')[0], "checked" in label.split(">")[0]) for label in labels]


def test_manager_adds_own_answer_to_the_gold_set(
    mias: Client, mia: User, answered: Callable[..., Message], ready: Document
) -> None:
    message = answered(mia)
    chat = text_of(mias.get(f"/messages/{message.id}/rendered"))
    assert f"{NEW}?message={message.id}" in chat
    assert f"{NEW}?message={message.id}" in text_of(mias.get(f"/conversations/{message.conversation_id}"))
    form = mias.get(NEW, {"message": message.id})
    assert boxes(form) == [(str(ready.id), True)]
    assert "How much may I give?" in text_of(form)
    assert '<option value="paraphrase" selected>' in text_of(form)


def test_answers_rated_down_are_not_preselected_as_relevant(
    mias: Client, mia: User, answered: Callable[..., Message], ready: Document
) -> None:
    answer = answered(mia, rating="down")
    assert boxes(mias.get(NEW, {"message": answer.id})) == [(str(ready.id), False)]
    for rating, kind in (("", "unanswerable"), ("down", "paraphrase")):
        refused = answered(mia, verdict="refused", rating=rating)
        form = text_of(mias.get(NEW, {"message": refused.id}))
        assert f'<option value="{kind}" selected>' in form


def test_follow_up_gold_question_includes_its_history(
    mias: Client, mia: User, answered: Callable[..., Message]
) -> None:
    first = answered(mia, question="How much may full-time staff give?")
    second = Message.objects.create(
        conversation=first.conversation,
        question="And others?",
        standalone_question="How much may others give?",
        state="done",
    )
    form = text_of(mias.get(NEW, {"message": second.id}))
    assert '<option value="follow_up" selected>' in form
    assert "How much may full-time staff give?" in form


def test_chats_of_others_cannot_become_gold_questions(
    signed_in: SignIn,
    mias: Client,
    rob: User,
    answered: Callable[..., Message],
    grant: Callable[..., None],
) -> None:
    grant(rob, Role.READER)
    message = answered(rob)
    assert mias.get(NEW, {"message": message.id}).status_code == 404
    robs = signed_in(rob)
    assert NEW not in text_of(robs.get(f"/messages/{message.id}/rendered"))
    assert robs.get(NEW, {"message": message.id}).status_code == 403


def test_gold_questions_are_listed_and_edited_only_by_managers(
    signed_in: SignIn,
    mias: Client,
    mia: User,
    rob: User,
    base: KnowledgeBase,
    ready: Document,
    grant: Callable[..., None],
) -> None:
    assert "No gold questions yet" in text_of(mias.get("/admin/evaluation/knowledge-bases/handbook"))
    row = gold_question_create(
        principal=principal_for_user(mia),
        knowledge_base=base,
        question="<b>How much?</b>",
        kind=Kind.CODE,
        relevant=[ready.id],
        must_contain=["40 hours"],
    )
    listed = text_of(mias.get("/admin/evaluation/knowledge-bases/handbook"))
    assert "&lt;b&gt;How much?" in listed
    assert "Leave rules" in listed
    form = mias.get(f"/admin/evaluation/gold-questions/{row.id}")
    assert boxes(form) == [(str(ready.id), True)]
    assert "40 hours" in text_of(form)
    make_base(name="Own", principal=principal_for_user(rob))
    robs = signed_in(rob)
    for path in ("knowledge-bases/handbook", f"gold-questions/{row.id}"):
        assert robs.get(f"/admin/evaluation/{path}").status_code == 404
    grant(rob, Role.EDITOR)
    assert robs.get("/admin/evaluation/knowledge-bases/handbook").status_code == 403
    assert robs.get(f"/admin/evaluation/gold-questions/{row.id}").status_code == 404
    assert boxes(robs.get(NEW, {"question": "hours a year", "kb": "handbook"})) == [("", False)]


def test_gold_question_without_its_document_shows_a_warning(
    mias: Client, mia: User, base: KnowledgeBase, ready: Document
) -> None:
    gold_question_create(
        principal=principal_for_user(mia),
        knowledge_base=base,
        question="?",
        kind=Kind.CODE,
        relevant=[ready.id],
    )
    assert "Needs a document" not in text_of(mias.get("/admin/evaluation/knowledge-bases/handbook"))
    ready.delete()
    assert "Needs a document" in text_of(mias.get("/admin/evaluation/knowledge-bases/handbook"))


def test_gold_form_works_without_search(mias: Client, base: KnowledgeBase, engine_override: Engine) -> None:
    engine_override.embedder.broken = True  # type: ignore[attr-defined]
    assert mias.get(NEW, {"question": "hours", "kb": "handbook"}).status_code == 200
