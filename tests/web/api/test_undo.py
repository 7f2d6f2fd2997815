"""A deleted conversation is gone at once, and can be restored for a few minutes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.library.models import Document
from ingestion.erasure import documents
from ingestion.erasure.retention import purge_conversations
from retrieval.conversations.undo import UNDO_PERIOD, deleted_conversations_forget
from retrieval.engine import Engine
from retrieval.gaps.models import Gap, GapQuestion
from retrieval.models import Conversation, DeletedConversation, Message
from retrieval.statistics.models import AskedQuestion
from tests.bases import make_base
from tests.web.api.conftest import Caller, assert_problem, indexed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def conversation(
    rob: Caller, mia: Caller, grant: Callable[[Caller, Role], None], document: Document, parts: Engine
) -> dict[str, Any]:
    """A pinned and shared one of rob with two answers, one of which mia can see as a gap."""
    grant(rob, Role.READER)
    indexed(document, parts, "Employees get 25 days of leave a year.")
    first = rob.post("/ask", {"question": "How many days of leave do employees get?"}).json()
    path = f"/conversations/{first['conversation']}"
    rob.post("/ask", {"question": "Per month?", "conversation": first["conversation"]})
    rob.patch(path, {"pinned": True, "title": "Leave"})
    rob.put(f"{path}/share", {"subjects": ["everyone", f"user:{mia.user.id}"]})
    rob.post(f"/messages/{first['id']}/feedback", {"rating": "down", "comment": "Ask again"})
    found: dict[str, Any] = rob.get(path).json()
    return found


def delete(caller: Caller, conversation: dict[str, Any]) -> dict[str, Any]:
    response = caller.delete(f"/conversations/{conversation['id']}?restorable=true")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def restore(caller: Caller, conversation: dict[str, Any]) -> Any:
    return caller.post(f"/conversations/{conversation['id']}/restore")


def test_deleted_conversation_disappears_and_is_restored_completely(
    rob: Caller, mia: Caller, conversation: dict[str, Any]
) -> None:
    path = f"/conversations/{conversation['id']}"
    share = rob.get(f"{path}/share").json()
    counts = [model.objects.count() for model in (Message, AskedQuestion, GapQuestion)]
    assert 0 not in counts
    answer = delete(rob, conversation)
    assert answer.keys() == {"id", "deleted", "restorable_until"}
    for gone in (path, f"{path}/export", f"{path}/share", f"/messages/{conversation['current']}"):
        assert_problem(rob.get(gone), 404, "not_found")
    assert_problem(mia.get(f"/shared/{share['id']}"), 404, "not_found")
    assert rob.get("/conversations").json()["items"] == []
    assert rob.get("/conversations?q=leave").json()["items"] == []
    assert [model.objects.count() for model in (Message, AskedQuestion, GapQuestion)] == [0, 0, 0]

    restored = restore(rob, conversation)
    assert restored.status_code == 200, restored.content
    assert (restored.json()["title"], restored.json()["pinned"]) == ("Leave", True)
    assert rob.get(path).json() == conversation
    assert {**rob.get(f"{path}/share").json()} == share
    assert mia.get(f"/shared/{share['id']}").status_code == 200
    assert [model.objects.count() for model in (Message, AskedQuestion, GapQuestion)] == counts
    assert_problem(restore(rob, conversation), 404, "not_found")
    actions = Event.objects.filter(subject=f"conversation:{conversation['id']}").values_list(
        "action", flat=True
    )
    assert set(actions) >= {"conversation.deleted", "conversation.restored"}


def test_deletion_without_undo_leaves_no_copy(rob: Caller, conversation: dict[str, Any]) -> None:
    answer = rob.delete(f"/conversations/{conversation['id']}")
    assert answer.json() == {"id": conversation["id"], "deleted": True}
    assert not DeletedConversation.objects.exists()
    assert_problem(restore(rob, conversation), 404, "not_found")


def test_deleted_conversation_is_restored_only_by_its_owner(
    rob: Caller, mia: Caller, admin: Caller, conversation: dict[str, Any]
) -> None:
    delete(rob, conversation)
    for other in (mia, admin):
        assert_problem(restore(other, conversation), 404, "not_found")
    assert_problem(restore(rob, {"id": "nonsense"}), 404, "not_found")
    assert restore(rob, conversation).status_code == 200


def test_deleted_conversation_is_purged_after_the_undo_period(
    rob: Caller, conversation: dict[str, Any]
) -> None:
    delete(rob, conversation)
    purge_conversations()
    assert DeletedConversation.objects.count() == 1
    DeletedConversation.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert_problem(restore(rob, conversation), 404, "not_found")
    purge_conversations()
    assert not DeletedConversation.objects.exists()
    assert timedelta(minutes=5) == UNDO_PERIOD


def test_erasing_a_document_erases_copies_that_may_quote_it(
    rob: Caller, document: Document, conversation: dict[str, Any]
) -> None:
    other = Conversation.objects.create(user=rob.user, title="Other")
    Message.objects.create(conversation=other, question="Why?", state="done", verdict="refused")
    delete(rob, conversation)
    delete(rob, {"id": str(other.id)})
    assert deleted_conversations_forget(document.id) == 1
    assert_problem(restore(rob, conversation), 404, "not_found")
    assert restore(rob, {"id": str(other.id)}).status_code == 200


def test_deleting_a_document_deletes_the_copy(
    rob: Caller,
    mia: Caller,
    document: Document,
    parts: Engine,
    conversation: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delete(rob, conversation)
    monkeypatch.setattr("ingestion.broker.enqueue_erasure", lambda _receipt: None)
    receipt = mia.delete(f"/documents/{document.id}").json()["receipt"]["id"]
    documents.erase(UUID(receipt), parts.index)
    assert not DeletedConversation.objects.exists()
    assert_problem(restore(rob, conversation), 404, "not_found")


def test_deleting_a_user_deletes_restorable_conversations(
    rob: Caller, admin: Caller, conversation: dict[str, Any]
) -> None:
    delete(rob, conversation)
    assert admin.delete(f"/users/{rob.user.id}").status_code == 204
    assert not DeletedConversation.objects.exists()


def test_restored_conversation_excludes_records_deleted_since(
    rob: Caller, mia: Caller, admin: Caller, conversation: dict[str, Any]
) -> None:
    """A reader of its link, and the gap of a question."""
    path = f"/conversations/{conversation['id']}"
    rob.put(f"{path}/share", {"subjects": [f"user:{mia.user.id}", f"user:{admin.user.id}"]})
    gap = Gap.objects.create(base_key="x")
    GapQuestion.objects.update(gap=gap)
    delete(rob, conversation)
    gap.delete()
    mia.user.delete()
    answer = restore(rob, conversation)
    assert answer.status_code == 200, answer.content
    assert rob.get(f"{path}/share").json()["subjects"] == [f"user:{admin.user.id}"]
    assert GapQuestion.objects.get().gap is None


def test_limited_key_restores_only_conversations_in_its_scope(
    rob: Caller, conversation: dict[str, Any]
) -> None:
    """The conversation was asked in all knowledge bases, not in this one alone."""
    elsewhere = make_base(name="Elsewhere", principal=rob.principal)
    _, key = api_key_create(user=rob.user, label="limited", knowledge_bases=[elsewhere.id])
    delete(rob, conversation)
    assert_problem(restore(Caller(rob.user, key), conversation), 404, "not_found")
    assert restore(rob, conversation).status_code == 200
