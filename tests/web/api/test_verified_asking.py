"""Questions that have a verified answer: by whom, when, and in which wordings."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import grant_give, grants_replace, knowledge_base_create
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.documents import erase
from ingestion.gaps.asker_notices import RETRY_AFTER, notify_askers
from ingestion.gaps.verified_answers import answers_expire
from ingestion.models import Receipt
from retrieval.engine import Engine
from retrieval.gaps.clusters import questions_group
from retrieval.gaps.models import Gap, Notice, VerifiedAnswer
from tests.bases import let_create
from tests.fakes import FakeChat
from tests.principals import SETUP
from tests.web.api.conftest import Caller, events, indexed, streamed
from tests.web.api.test_gaps import ask, edith, notices, only_gap, refused, ria, until, working

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
__all__ = ["edith", "ria", "working"]

QUESTION = "Is the car park free for contractors?"
ANSWER = "No."
VERIFIED_BY_MIA = {"by": "mia", "until": until()}


@pytest.fixture
def answered(parts: Engine, working: None, base: KnowledgeBase, mia: Caller, ria: Caller) -> str:
    """The gap of a question that ria asked in vain and mia has answered, beside a document about the same."""
    refused(ria, QUESTION, base)
    gap = str(only_gap(mia)["id"])
    mia.upload(str(base.id), "parking.md", b"The car park is free for employees on Fridays.")
    publish(mia, gap, base)
    return gap


def publish(caller: Caller, gap: str, base: KnowledgeBase, **more: Any) -> None:
    body = {"knowledge_base": str(base.id), "title": QUESTION, "text": ANSWER, "until": until(), **more}
    response = caller.put(f"/gaps/{gap}/answer", body)
    assert response.status_code == 200, response.content


def is_verified(answer: dict[str, Any]) -> bool:
    return bool(answer["mode"] == "verified")


def test_verified_answer_is_returned_without_asking_the_model(
    parts: Engine, answered: str, ria: Caller
) -> None:
    assert isinstance(parts.chat, FakeChat)
    parts.chat.prompts.clear()
    answer = ask(ria, "is the car park free for Contractors")
    assert (answer["verdict"], answer["mode"], answer["answer"]) == ("supported", "verified", "No. [1]")
    assert answer["reason"] == "This is a verified answer to this question."
    [citation] = answer["citations"]
    assert (citation["verified"], citation["quote"]) == (VERIFIED_BY_MIA, ANSWER)
    assert answer["sentences"] == [{"text": ANSWER, "supported": True, "markers": [1], "reason": ""}]
    assert parts.chat.prompts == []
    again = ria.get(f"/messages/{answer['id']}").json()
    assert (again["answer"], again["citations"], again["mode"]) == ("No. [1]", [citation], "verified")


@pytest.mark.parametrize(
    "question",
    [
        "Is the car park free for employees?",
        "Is the car park not free for contractors?",
        "Is car park 2 free for contractors?",
        "Is the car park free for contractors in 2025?",
        "Is the car park free?",
    ],
)
def test_similar_question_gets_no_verified_answer(answered: str, ria: Caller, question: str) -> None:
    assert not is_verified(ask(ria, question))


def test_published_wordings_get_the_verified_answer(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    wording = "Do external people pay for the car park?"
    assert not is_verified(ask(ria, wording))
    publish(mia, answered, base, wordings=[wording])
    assert is_verified(ask(ria, wording))
    assert is_verified(ask(ria, QUESTION))


def test_questions_of_the_gap_get_the_verified_answer(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    publish(mia, answered, base, title="Parking")
    assert is_verified(ask(ria, QUESTION))
    publish(mia, answered, base, title="Parking", wordings=[])
    assert not is_verified(ask(ria, QUESTION))


def test_verified_answer_is_only_for_its_readers(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller, rob: Caller
) -> None:
    assert not is_verified(ask(rob, QUESTION))
    assert ask(rob, QUESTION, knowledge_bases=[str(base.id)])["status"] == 404
    document = VerifiedAnswer.objects.get().document
    assert document is not None
    mia.patch(f"/documents/{document.id}", {"readers": [f"user:{mia.user.id}"]})
    answer = ask(ria, QUESTION)
    assert not is_verified(answer)
    assert str(document.id) not in str(answer)
    assert is_verified(ask(mia, QUESTION))
    mia.patch(f"/documents/{document.id}", {"readers": []})
    grants_replace(knowledge_base=base, grants=[(f"user:{mia.user.id}", Role.MANAGER)], principal=SETUP)
    assert not is_verified(ask(ria, QUESTION))


def test_verified_answer_is_limited_to_the_searched_knowledge_bases(
    answered: str, ria: Caller, admin: Caller
) -> None:
    other = knowledge_base_create(name="Elsewhere", principal=admin.principal)
    grant_give(knowledge_base=other, subject=f"user:{ria.user.id}", role=Role.READER, principal=SETUP)
    assert not is_verified(ask(ria, QUESTION, knowledge_bases=[str(other.id)]))
    verified = str(VerifiedAnswer.objects.get().document_id)
    document = Document.objects.exclude(pk=verified).get()
    now = timezone.now()
    for filters, found in (
        ({"document_ids": [str(document.id)]}, False),
        ({"document_ids": [verified]}, True),
        ({"tags": ["parking"]}, False),
        ({"source_uri": "elsewhere"}, False),
        ({"created_after": (now + timedelta(days=1)).isoformat()}, False),
        ({"created_before": (now - timedelta(days=1)).isoformat()}, False),
        ({"created_after": (now - timedelta(days=1)).isoformat()}, True),
    ):
        response = ria.post("/ask", {"question": QUESTION, "filters": filters})
        assert response.status_code == 200, response.content
        assert is_verified(response.json()) is found, filters


def _expire(answered: str, mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    VerifiedAnswer.objects.update(until=timezone.localdate() - timedelta(days=1))


def _withdraw(answered: str, mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    answers_expire(today=timezone.localdate() + timedelta(days=31))


def _delete(answered: str, mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    mia.delete(f"/documents/{VerifiedAnswer.objects.get().document_id}")
    erase(Receipt.objects.get().id, parts.index)


def _replace(answered: str, mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    mia.upload(str(base.id), "x.md", b"# Parking\n\nYes.", source_uri=f"cairn:verified/{answered}")


def _save_without_publishing(answered: str, mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    VerifiedAnswer.objects.update(text="Yes.")


@pytest.mark.parametrize("end", [_expire, _withdraw, _delete, _replace, _save_without_publishing])
def test_withdrawn_or_expired_verified_answer_is_not_used(
    parts: Engine, answered: str, base: KnowledgeBase, mia: Caller, ria: Caller, end: Callable[..., None]
) -> None:
    assert is_verified(ask(ria, QUESTION))
    end(answered, mia, base, parts)
    answer = ask(ria, QUESTION)
    assert not is_verified(answer)
    assert "Yes." not in answer["answer"] or end is _replace


def test_edited_verified_answer_replaces_the_previous_one(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller, admin: Caller
) -> None:
    before = ask(ria, QUESTION)
    publish(admin, answered, base, text="Yes, since June.", owner=str(edith.user.id))
    answer = ask(ria, QUESTION)
    assert (answer["answer"], answer["citations"][0]["verified"]["by"]) == ("Yes, since June. [1]", "edith")
    earlier = ria.get(f"/messages/{before['id']}").json()
    assert (earlier["answer"], earlier["citations"][0]["verified"]) == ("No. [1]", None)


def test_two_verified_answers_are_both_shown(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller, admin: Caller
) -> None:
    other = knowledge_base_create(name="Munich", principal=admin.principal)
    grant_give(knowledge_base=other, subject=f"user:{ria.user.id}", role=Role.READER, principal=SETUP)
    refused(ria, QUESTION, other)
    questions_group()
    gap = next(each for each in admin.get("/gaps").json()["items"] if each["id"] != answered)
    publish(admin, gap["id"], other, text="In Munich it is.")
    answer = ask(ria, QUESTION)
    assert answer["answer"] == "In Munich it is. [1]\n\nNo. [2]"
    assert answer["reason"] == "There are several verified answers to this question."
    verified = {each["knowledge_base_name"]: each["verified"]["by"] for each in answer["citations"]}
    assert verified == {"Munich": "ada", "Handbook": "mia"}
    publish(admin, gap["id"], other, text=ANSWER)
    assert ask(ria, QUESTION)["answer"] == "No. [1]"


def test_part_of_a_question_can_have_a_verified_answer(answered: str, ria: Caller) -> None:
    answer = ask(ria, f"{QUESTION} How many days of leave does the moon get?")
    assert [part["verdict"] for part in answer["parts"]] == ["supported", "refused"]
    assert (answer["verdict"], answer["mode"]) == ("partial", "verified")
    assert answer["answer"].startswith("No. [1]")
    assert "leave does the moon get" in answer["answer"]


def test_verified_answer_is_streamed_like_generated_ones(answered: str, ria: Caller) -> None:
    sent = events(streamed(ria.post("/ask", {"question": QUESTION, "stream": True})))
    assert [name for name, _ in sent] == ["start", "sources", "citation", "delta", "done"]


def test_verified_answer_markup_loads_and_links_nothing(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    text = (
        "See [the plan](https://example.com/x) ![map](https://example.com/y.png) <b>now</b> [7].\n\n"
        "# Steps\n\n1. Drive in.\n2. Pay **here**.\n\n```\npay --now [1]\n```\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |"
    )
    publish(mia, answered, base, text=text)
    answer = ask(ria, QUESTION)["answer"]
    assert is_verified(ask(ria, QUESTION))
    assert "https://" not in answer
    assert "<b>" not in answer
    assert "\\[7]" in answer
    assert "# Steps\n\n1. Drive in.\n2. Pay **here**." in answer
    assert answer.endswith("| 1 | 2 |\n\n[1]")


def test_unofficial_knowledge_base_gives_no_verified_answers(
    parts: Engine, working: None, ria: Caller, mia: Caller
) -> None:
    let_create(mia.user)
    own = knowledge_base_create(name="Mine", principal=mia.principal)
    grant_give(knowledge_base=own, subject=f"user:{ria.user.id}", role=Role.READER, principal=mia.principal)
    refused(mia, QUESTION, own)
    publish(mia, only_gap(mia)["id"], own)
    assert not is_verified(ask(ria, QUESTION))
    assert is_verified(ask(ria, QUESTION, knowledge_bases=[str(own.id)]))


# Notices -----------------------------------------------------------------------------------------


def test_users_are_notified_of_the_verified_answer(answered: str, base: KnowledgeBase, ria: Caller) -> None:
    assert notify_askers() == 1
    [notice] = notices(ria)
    assert (notice["kind"], notice["question"]) == ("answered", QUESTION)
    assert is_verified(ask(ria, notice["question"]))
    assert notify_askers() == 0


def test_correction_creates_no_notice_while_one_is_unread(
    answered: str, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    assert notify_askers() == 1
    publish(mia, answered, base, text="No, except on Fridays.")
    assert notify_askers() == 0
    assert len(notices(ria)) == 1
    Notice.objects.filter(user=ria.user.id).update(read_at=timezone.now())
    publish(mia, answered, base, text="No, except on Sundays.")
    assert notify_askers() == 1


def test_users_who_would_be_refused_are_not_notified(
    parts: Engine, answered: str, base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller
) -> None:
    refused(edith, "Where do lorries stop for the night?", base)
    questions_group()
    other = next(each for each in mia.get("/gaps").json()["items"] if each["id"] != answered)
    mia.post(f"/gaps/{other['id']}/merge", {"into": answered})
    assert notify_askers() == 1
    assert len(notices(ria)) == 1
    assert notices(edith) == []
    assert notify_askers() == 0
    publish(mia, answered, base, wordings=["Where do lorries stop for the night?"])
    notify_askers()
    assert [each["kind"] for each in notices(edith)] == ["answered"]


def test_users_without_access_are_not_notified(answered: str, mia: Caller, ria: Caller) -> None:
    document = VerifiedAnswer.objects.get().document_id
    mia.patch(f"/documents/{document}", {"readers": [f"user:{mia.user.id}"]})
    assert notify_askers() == 0
    assert notices(ria) == []


def test_notifications_are_delayed_while_models_are_unavailable(
    parts: Engine, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller
) -> None:
    refused(ria, QUESTION, base)
    gap = only_gap(mia)["id"]
    indexed(document, parts, "No, the car park is not free for contractors.")
    mia.post(f"/gaps/{gap}/document", {"document": str(document.id)})
    parts.embedder.broken = True  # type: ignore[attr-defined]
    assert notify_askers() == 0
    parts.embedder.broken = False  # type: ignore[attr-defined]
    assert notify_askers() == 0, "not at once"
    Gap.objects.update(tried_at=timezone.now() - RETRY_AFTER - timedelta(seconds=1))
    assert notify_askers() == 1
    assert len(notices(ria)) == 1
