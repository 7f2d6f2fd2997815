from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from cairn.access.models import Grant, Role
from cairn.library.models import Document, KnowledgeBase
from retrieval.conversations.ask import answers_interrupt
from retrieval.conversations.services import WITHHELD, forget_document
from retrieval.models import Citation, Conversation, Message, MessageState
from retrieval.statistics.models import AskedQuestion
from tests.web.api.conftest import Caller, assert_problem
from web.tasks import SURELY_DEAD, interrupt_answers


@pytest.fixture
def conversation(rob: Caller) -> Conversation:
    return Conversation.objects.create(user=rob.user, title="Leave")


@pytest.fixture
def message(conversation: Conversation, document: Document, rob: Caller, grant: Any) -> Message:
    """An answer to rob, who may read the document, with a citation of it."""
    grant(rob, Role.READER)
    row = Message.objects.create(
        conversation=conversation,
        question="How many days?",
        standalone_question="How many days of leave?",
        answer="25 days a year. [1]",
        state=MessageState.DONE,
        verdict="supported",
        mode="generated",
        model="tiny",
        sentences=[{"text": "25 days a year.", "supported": True, "markers": [1], "reason": ""}],
        nearest=[{"document": str(document.id), "title": "Leave"}],
        usage={"prompt_tokens": 10, "completion_tokens": 5},
        timings={"retrieval_ms": 1.5, "first_token_ms": 2.5, "total_ms": 3.5},
    )
    assert document.latest_version is not None
    Citation.objects.create(
        message=row, marker=1, document=document, version=document.latest_version.id, chunk=uuid4(),
        title="Leave", page=2, section=["Leave"], quote="25 days a year", boxes=[[0.1, 0.1, 0.9, 0.2]],
    )  # fmt: skip
    return row


def test_own_conversations_are_listed_most_recent_first(rob: Caller, mia: Caller) -> None:
    made = [Conversation.objects.create(user=rob.user, title=str(number)) for number in range(3)]
    first = rob.get("/conversations?limit=2").json()
    second = rob.get(f"/conversations?limit=2&cursor={first['next_cursor']}").json()
    shown = [item["id"] for item in first["items"] + second["items"]]
    assert shown == [str(row.id) for row in reversed(made)]
    assert first["items"][0].keys() >= {"id", "title", "pinned", "current", "created_at", "updated_at"}
    assert mia.get("/conversations").json()["items"] == []


def test_conversation_contains_its_answers(
    rob: Caller, mia: Caller, document: Document, message: Message
) -> None:
    shown = rob.get(f"/conversations/{message.conversation_id}").json()
    [answer] = shown["messages"]
    citation = message.citations.get()
    url = f"/library/documents/{document.id}"
    assert answer["citations"] == [
        {
            "marker": 1, "chunk": str(citation.chunk), "document": str(document.id),
            "knowledge_base": str(document.knowledge_base_id), "title": "Leave", "source_uri": "leave.md",
            "knowledge_base_name": "Handbook", "official": True,
            "knowledge_base_owner": {"id": str(mia.user.id), "username": "mia"},
            "version": 1, "page": 2, "location": "", "section": ["Leave"], "boxes": [[0.1, 0.1, 0.9, 0.2]],
            "quote": "25 days a year", "links": [], "url": f"{url}?chunk={citation.chunk}", "verified": None,
        }
    ]  # fmt: skip
    del answer["citations"], answer["created_at"]
    assert answer == {
        "id": str(message.id), "conversation": str(message.conversation_id), "state": "done",
        "parent": None, "siblings": [str(message.id)],
        "intent": "ask", "library_url": "", "spelling": [],
        "question": "How many days?", "standalone_question": "How many days of leave?",
        "answer": "25 days a year. [1]", "verdict": "supported", "reason": "", "mode": "generated",
        "sentences": [{"text": "25 days a year.", "supported": True, "markers": [1], "reason": ""}],
        "nearest": [{"document": str(document.id), "title": "Leave", "url": url}],
        "parts": [], "signals": {}, "withheld": False, "incomplete": False, "feedback": None, "model": "tiny",
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        "timings": {"retrieval_ms": 1.5, "first_token_ms": 2.5, "total_ms": 3.5},
    }  # fmt: skip


def test_answer_without_access_to_its_documents_is_withheld(
    rob: Caller, base: KnowledgeBase, message: Message
) -> None:
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    response = rob.get(f"/conversations/{message.conversation_id}")
    [answer] = response.json()["messages"]
    assert answer["withheld"] is True
    assert (answer["citations"], answer["sentences"], answer["nearest"]) == ([], [], [])
    assert "25 days" not in response.content.decode()


@pytest.mark.parametrize("path", ["/conversations/{thread}", "/messages/{message}"])
def test_document_erased_while_an_answer_is_read_is_not_shown(
    rob: Caller, document: Document, message: Message, path: str
) -> None:
    """Its text has been loaded, but not its citations."""
    erased = []

    def erase(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('SELECT "retrieval_citation"') and not erased:
            erased.append(document.id)
            forget_document(document.id)
        return execute(sql, *rest)

    with connection.execute_wrapper(erase):
        shown = rob.get(path.format(thread=message.conversation_id, message=message.id)).json()
    assert erased
    [answer] = shown.get("messages", [shown])
    assert (answer["answer"], answer["withheld"]) == (WITHHELD, True)
    assert (answer["sentences"], answer["citations"]) == ([], [])


def test_conversation_is_renamed_and_deleted(rob: Caller, conversation: Conversation) -> None:
    path = f"/conversations/{conversation.id}"
    assert rob.patch(path, {"title": " Time off "}).json()["title"] == "Time off"
    for body in [{"title": ""}, {"title": "a" * 201}, {"title": None}, {"user": "x"}]:
        assert_problem(rob.patch(path, body), 422, "invalid")
    deleted = rob.delete(path)
    assert (deleted.status_code, deleted.json()) == (200, {"id": str(conversation.id), "deleted": True})
    assert_problem(rob.get(path), 404, "not_found")


def test_rejected_change_leaves_a_conversation_unchanged(rob: Caller, conversation: Conversation) -> None:
    body = {"title": "New", "current": "zz", "pinned": True}
    assert_problem(rob.patch(f"/conversations/{conversation.id}", body), 404, "not_found")
    conversation.refresh_from_db()
    assert (conversation.title, conversation.pinned_at) == ("Leave", None)


def test_conversation_is_pinned_and_unpinned(rob: Caller, conversation: Conversation) -> None:
    path = f"/conversations/{conversation.id}"
    assert rob.get(path).json()["pinned"] is False
    assert rob.patch(path, {"pinned": True}).json()["pinned"] is True
    since = Conversation.objects.get(pk=conversation.pk).pinned_at
    assert rob.patch(path, {"pinned": True, "title": "Leave"}).json()["title"] == "Leave"
    assert Conversation.objects.get(pk=conversation.pk).pinned_at == since
    assert rob.get("/conversations").json()["items"][0]["pinned"] is True
    assert rob.patch(path, {"pinned": False}).json()["pinned"] is False
    for body in [{"pinned": None}, {"pinned": "yes"}]:
        assert_problem(rob.patch(path, body), 422, "invalid")


def found(caller: Caller, query: str) -> list[str]:
    return [item["title"] for item in caller.get(f"/conversations?q={query}").json()["items"]]


def test_conversations_are_found_by_title_question_and_answer(
    rob: Caller, mia: Caller, message: Message
) -> None:
    message.conversation.title = "Time off"
    message.conversation.save()
    for query in ("time%20OFF", "MANY%20days", "25%20days", "%20"):
        assert found(rob, query) == ["Time off"], query
    assert found(rob, "zebra") == []
    assert found(mia, "days") == []
    assert_problem(rob.get(f"/conversations?q={'a' * 201}"), 422, "invalid")


def test_conversation_search_returns_snippets(rob: Caller, message: Message) -> None:
    def snippet(query: str) -> Any:
        [item] = rob.get(f"/conversations?q={query}").json()["items"]
        return item["snippet"]

    assert snippet("days") == {
        "message": str(message.id), "field": "question", "text": "How many days?", "highlights": [[9, 13]]
    }  # fmt: skip
    assert snippet("A") == {**snippet("days"), "highlights": [[5, 6], [10, 11]]}
    answer = {"message": str(message.id), "field": "answer", "text": "25 days a year."}
    assert snippet("25%20days") == {**answer, "highlights": [[0, 7]]}
    assert snippet("Leave") is None  # only the title matches
    Message.objects.update(answer="> ```\n> ls \n> ```\n\n[1]\n\n> # Keys\n> A key is in \\~/.ssh [2]")
    assert snippet("key%20is")["text"] == "ls Keys A key is in ~/.ssh"
    assert [item["snippet"] for item in rob.get("/conversations").json()["items"]] == [None]


def test_conversation_search_ignores_withheld_answers(
    rob: Caller, base: KnowledgeBase, message: Message
) -> None:
    assert found(rob, "25%20days") != []
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    assert found(rob, "25%20days") == []
    assert found(rob, "many%20days") != []


def test_conversation_of_another_user_is_not_found(mia: Caller, admin: Caller, message: Message) -> None:
    for caller in (mia, admin):
        path = f"/conversations/{message.conversation_id}"
        assert_problem(caller.get(path), 404, "not_found")
        assert_problem(caller.patch(path, {"title": "Mine", "pinned": True}), 404, "not_found")
        for tail in ("", "/events", "/markdown"):
            assert_problem(caller.get(f"/messages/{message.id}{tail}"), 404, "not_found")
        assert_problem(caller.delete(f"/messages/{message.id}/feedback"), 404, "not_found")
        assert_problem(caller.delete(path), 404, "not_found")
        assert_problem(caller.post(f"/messages/{message.id}/feedback", {"rating": "up"}), 404, "not_found")
        assert_problem(caller.post(f"/messages/{message.id}/stop"), 404, "not_found")


def test_feedback_is_saved_and_replaced(rob: Caller, message: Message) -> None:
    path = f"/messages/{message.id}/feedback"
    given = {"rating": "down", "reason": "wrong", "comment": "It is 30."}
    assert rob.post(path, given).json() == given
    assert rob.post(path, {"rating": "up"}).json() == {"rating": "up", "reason": "", "comment": ""}
    shown = rob.get(f"/conversations/{message.conversation_id}").json()["messages"][0]
    assert shown["feedback"] == {"rating": "up", "reason": "", "comment": ""}
    for body in [{}, {"rating": "meh"}, {"rating": "up", "reason": "a" * 101}, {"rating": "up", "x": 1}]:
        assert_problem(rob.post(path, body), 422, "invalid")
    assert rob.delete(path).status_code == 200
    assert rob.get(f"/messages/{message.id}").json()["feedback"] is None


def test_answer_is_returned_as_markdown_with_sources(
    rob: Caller, base: KnowledgeBase, document: Document, message: Message
) -> None:
    message.citations.update(title="Leave [2] `rules`\n# x")
    response = rob.get(f"/messages/{message.id}/markdown")
    assert response["Content-Type"] == "text/markdown; charset=utf-8"
    chunk = message.citations.get().chunk
    address = f"http://testserver/library/documents/{document.id}?chunk={chunk}"
    name = "Leave \\[2\\] \\`rules\\` \\# x, page 2, Handbook"
    assert response.content.decode() == f"25 days a year. [1]\n\nSources:\n\n- [1] [{name}]({address})\n"
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    assert "25 days" not in rob.get(f"/messages/{message.id}/markdown").content.decode()


def test_partial_answer_is_withheld_with_its_possible_sources(
    rob: Caller, base: KnowledgeBase, document: Document, message: Message
) -> None:
    """The sources of an interrupted answer's last words are unknown."""
    message.citations.all().delete()
    hits = [{"chunk": str(uuid4()), "document": str(document.id), "score": 1.0}]
    Message.objects.filter(pk=message.pk).update(state=MessageState.STOPPED, trace={"hits": hits})
    path = f"/messages/{message.id}"
    assert (rob.get(path).json()["incomplete"], rob.get(path).json()["withheld"]) == (True, False)
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    assert rob.get(path).json()["withheld"] is True
    assert "25 days" not in rob.get(path).content.decode()


def test_answer_of_a_dead_process_has_failed(
    rob: Caller, base: KnowledgeBase, document: Document, message: Message
) -> None:
    past = timezone.now() - timedelta(minutes=1)
    hits = [{"chunk": str(uuid4()), "document": str(document.id), "score": 1.0}]
    running = {"state": MessageState.RUNNING, "verdict": "", "trace": {"hits": hits}}
    Message.objects.filter(pk=message.pk).update(**running, alive_at=past)
    answer = rob.get(f"/messages/{message.id}").json()
    assert (answer["state"], answer["incomplete"]) == ("failed", True)
    assert answer["reason"] == "The server stopped before the answer was complete."
    assert answer["answer"] == "25 days a year. [1]"
    Message.objects.filter(pk=message.pk).update(alive_at=timezone.now())
    assert rob.get(f"/messages/{message.id}").json()["state"] == "running"
    interrupt_answers()
    assert rob.get(f"/messages/{message.id}").json()["state"] == "running"
    Message.objects.filter(pk=message.pk).update(alive_at=timezone.now() - 2 * SURELY_DEAD)
    interrupt_answers()
    assert AskedQuestion.objects.get().bases.get().knowledge_base_id == base.id
    assert rob.get(f"/messages/{message.id}").json()["reason"] == answer["reason"]


def test_single_process_start_ends_running_answers(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(state=MessageState.RUNNING, alive_at=timezone.now())
    assert answers_interrupt() == 1
    assert Message.objects.get().state == "failed"
    assert AskedQuestion.objects.get().message_id == message.id


def test_running_answer_is_stopped(rob: Caller, message: Message) -> None:
    path = f"/messages/{message.id}/stop"
    assert rob.post(path).json() == {"id": str(message.id), "stopped": False}
    Message.objects.filter(pk=message.pk).update(state=MessageState.RUNNING)
    response = rob.post(path)
    assert (response.status_code, response.json()["stopped"]) == (202, True)
