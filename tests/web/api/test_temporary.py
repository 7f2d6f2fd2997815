"""Temporary chats are not in the history, become no gaps, cannot be shared, and expire."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.retention import purge_conversations
from retrieval.conversations.services import EXPIRES_AFTER
from retrieval.engine import Engine
from retrieval.gaps.models import GapQuestion
from retrieval.models import Conversation, DeletedConversation, Message
from retrieval.suggestions import asked_questions
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "How many days of leave do employees get?"
UNANSWERABLE = "Which colour does the flag of Atlantis have?"


@pytest.fixture
def reader(rob: Caller, grant: Callable[[Caller, Role], None], document: Document, parts: Engine) -> Caller:
    grant(rob, Role.READER)
    indexed(document, parts, "Employees get 25 days of leave a year.")
    return rob


def create(caller: Caller, *, temporary: bool = True) -> dict[str, Any]:
    response = caller.post("/conversations", {"temporary": temporary})
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


def ask(caller: Caller, conversation: str, question: str = QUESTION) -> dict[str, Any]:
    response = caller.post("/ask", {"question": question, "conversation": conversation})
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def test_temporary_chat_answers_but_is_not_listed_or_searched(reader: Caller) -> None:
    created = create(reader)
    assert created["temporary"]
    first = ask(reader, created["id"])
    assert first["verdict"] == "supported"
    ask(reader, created["id"], "Per month?")
    found = reader.get(f"/conversations/{created['id']}").json()
    assert [each["question"] for each in found["messages"]] == [QUESTION, "Per month?"]
    assert found["title"] == QUESTION
    for query in ("", "?q=leave", "?q=25+days"):
        assert reader.get(f"/conversations{query}").json()["items"] == []

    kept = create(reader, temporary=False)
    assert reader.get("/conversations").json()["items"] == []
    ask(reader, kept["id"])
    assert [each["id"] for each in reader.get("/conversations?q=leave").json()["items"]] == [kept["id"]]
    assert reader.get(f"/conversations/{kept['id']}").json()["expires_at"] is None


def test_temporary_chat_is_hidden_from_others(reader: Caller, mia: Caller, admin: Caller) -> None:
    created = create(reader)
    answer = ask(reader, created["id"])
    for other in (mia, admin):
        assert_problem(other.get(f"/conversations/{created['id']}"), 404, "not_found")
        assert_problem(other.get(f"/messages/{answer['id']}"), 404, "not_found")
        assert_problem(
            other.post("/ask", {"question": "Why?", "conversation": created["id"]}), 404, "not_found"
        )


def test_temporary_chat_cannot_be_shared(reader: Caller) -> None:
    created = create(reader)
    answer = ask(reader, created["id"])
    for path in (f"/conversations/{created['id']}/share", f"/messages/{answer['id']}/share"):
        assert_problem(reader.put(path, {"subjects": ["everyone"]}), 409, "conflict")


def test_temporary_chat_creates_no_knowledge_gaps(reader: Caller, base: KnowledgeBase) -> None:
    asked = {"question": UNANSWERABLE, "knowledge_bases": [str(base.id)]}
    kept = reader.post("/ask", asked).json()
    assert GapQuestion.objects.filter(message=kept["id"]).exists()
    GapQuestion.objects.all().delete()

    created = create(reader)
    refused = reader.post("/ask", {**asked, "conversation": created["id"]}).json()
    assert refused["verdict"] == "refused"
    answered = ask(reader, created["id"])
    for message in (refused, answered):
        assert reader.post(f"/messages/{message['id']}/feedback", {"rating": "down"}).status_code == 200
    Message.objects.filter(pk=answered["id"]).update(trace={})  # as of an answer that was stopped
    reader.post(f"/messages/{answered['id']}/feedback", {"rating": "down", "reason": "other"})
    assert not GapQuestion.objects.exists()


def test_temporary_questions_are_not_suggested(
    reader: Caller, base: KnowledgeBase, grant: Callable[[Caller, Role], None]
) -> None:
    people = [reader, *map(caller_for, ("ann", "bob"))]
    for temporary in (True, False):
        for each in people:
            grant(each, Role.READER)
            ask(each, create(each, temporary=temporary)["id"])
        popular = asked_questions.popular_questions(reader.principal, base.id, 3)
        assert popular == ([] if temporary else [QUESTION])


def test_deleting_a_temporary_chat_leaves_no_copy(reader: Caller) -> None:
    created = create(reader)
    ask(reader, created["id"])
    answer = reader.delete(f"/conversations/{created['id']}?restorable=true").json()
    assert answer == {"id": created["id"], "deleted": True}
    assert not DeletedConversation.objects.exists()
    assert not Message.objects.exists()


def test_temporary_chat_expires_hours_after_its_last_question(reader: Caller) -> None:
    created = create(reader)
    path = f"/conversations/{created['id']}"
    Conversation.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    answer = ask(reader, created["id"])
    row = Conversation.objects.get()
    assert row.expires_at is not None
    assert abs(row.expires_at - timezone.now() - EXPIRES_AFTER) < timedelta(minutes=1)
    assert purge_conversations() == 0

    Conversation.objects.update(expires_at=timezone.now())
    for gone in (path, f"/messages/{answer['id']}"):
        assert_problem(reader.get(gone), 404, "not_found")
    assert_problem(reader.post("/ask", {"question": "Why?", "conversation": created["id"]}), 404, "not_found")
    assert purge_conversations() == 1
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()
    event = Event.objects.get(action="conversations.expired")
    assert event.detail == {"conversations": 1, "temporary": True}
    audited = [str(row.detail) + row.subject for row in Event.objects.all()]
    assert not any("leave" in text for text in audited)


def test_regular_conversations_expire_only_without_questions(reader: Caller) -> None:
    create(reader, temporary=False)
    asked = create(reader, temporary=False)
    Conversation.objects.update(expires_at=timezone.now() + timedelta(seconds=30))
    ask(reader, asked["id"])
    Conversation.objects.exclude(expires_at=None).update(expires_at=timezone.now())
    assert purge_conversations() == 1
    assert [str(row.id) for row in Conversation.objects.all()] == [asked["id"]]


def test_assistant_answers_in_a_temporary_chat(reader: Caller, admin: Caller, base: KnowledgeBase) -> None:
    made = admin.post(
        "/assistants", {"name": "Leave", "knowledge_bases": [str(base.id)], "subjects": ["everyone"]}
    )
    assert made.status_code == 201, made.content
    created = create(reader)
    asked = {"question": QUESTION, "conversation": created["id"], "assistant": made.json()["id"]}
    assert reader.post("/ask", asked).status_code == 200
    assert reader.get(f"/conversations/{created['id']}").json()["assistant"]["name"] == "Leave"


def test_limited_key_reaches_its_own_temporary_chat(reader: Caller, base: KnowledgeBase) -> None:
    _, key = api_key_create(user=reader.user, label="some", scopes=["ask"], knowledge_bases=[base.id])
    limited = Caller(reader.user, key)
    created = create(limited)
    ask(limited, created["id"])
    assert limited.get(f"/conversations/{created['id']}").status_code == 200
    ask(reader, created["id"], QUESTION)
    assert_problem(limited.post("/conversations", {"temporary": "often"}), 422, "invalid")
