"""Versions of an answer and questions that were changed: a conversation as a tree."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from cairn.library.models import Document
from retrieval.engine import Engine
from retrieval.models import Conversation, Message, MessageState
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem, indexed

ABSENT = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def conversation(rob: Caller) -> Conversation:
    return Conversation.objects.create(user=rob.user, title="Leave")


def add_message(conversation: Conversation, question: str, after: Message | None = None) -> Message:
    fields: dict[str, Any] = {"answer": f"To {question}", "state": MessageState.DONE}
    return Message.objects.create(conversation=conversation, question=question, parent=after, **fields)


@pytest.fixture
def tree(conversation: Conversation) -> dict[str, Message]:
    """first - second - third, and beside the second another version that goes on with a fourth."""
    first = add_message(conversation, "first")
    second = add_message(conversation, "second", first)
    third = add_message(conversation, "third", second)
    again = add_message(conversation, "second", first)
    fourth = add_message(conversation, "fourth", again)
    Conversation.objects.filter(pk=conversation.pk).update(current=third)
    return {"first": first, "second": second, "third": third, "again": again, "fourth": fourth}


def path(caller: Caller, conversation: Conversation) -> list[str]:
    messages = caller.get(f"/conversations/{conversation.id}").json()["messages"]
    return [message["id"] for message in messages]


def ids(tree: dict[str, Message], *names: str) -> list[str]:
    return [str(tree[name].id) for name in names]


def test_conversation_shows_the_path_to_the_current_message(
    rob: Caller, conversation: Conversation, tree: dict[str, Message]
) -> None:
    assert path(rob, conversation) == ids(tree, "first", "second", "third")
    shown = rob.get(f"/conversations/{conversation.id}").json()
    assert shown["current"] == str(tree["third"].id)
    assert [message["parent"] for message in shown["messages"]] == [None, *ids(tree, "first", "second")]
    assert shown["messages"][1]["siblings"] == ids(tree, "second", "again")


def test_selected_branch_is_shown_to_its_last_message(
    rob: Caller, conversation: Conversation, tree: dict[str, Message]
) -> None:
    address = f"/conversations/{conversation.id}"
    changed = rob.patch(address, {"current": str(tree["again"].id)})
    assert changed.json()["current"] == str(tree["fourth"].id)
    assert path(rob, conversation) == ids(tree, "first", "again", "fourth")
    rob.patch(address, {"current": str(tree["second"].id)})
    assert path(rob, conversation) == ids(tree, "first", "second", "third")


def test_message_outside_the_current_path_is_readable(rob: Caller, tree: dict[str, Message]) -> None:
    answer = rob.get(f"/messages/{tree['fourth'].id}").json()
    assert (answer["question"], answer["parent"]) == ("fourth", str(tree["again"].id))


@pytest.mark.django_db(transaction=True)
def test_question_is_added_below_its_parent(mia: Caller, document: Document, parts: Engine) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")

    def ask(**body: Any) -> dict[str, Any]:
        response = mia.post("/ask", {"question": "How many days of leave do employees get?", **body})
        assert response.status_code == 200, response.content
        found: dict[str, Any] = response.json()
        return found

    first = ask()
    conversation = first["conversation"]
    second = ask(conversation=conversation)
    assert (first["parent"], second["parent"]) == (None, first["id"])
    version = ask(conversation=conversation, parent=first["id"])
    assert version["siblings"] == [second["id"], version["id"]]
    assert mia.get(f"/conversations/{conversation}").json()["messages"] == [
        {**first, "siblings": [first["id"]]},
        version,
    ]
    other = ask(conversation=conversation, parent=None, question="How many days of leave are there?")
    assert (other["parent"], other["siblings"]) == (None, [first["id"], other["id"]])
    alone = ask(parent=second["id"])
    assert (alone["conversation"], alone["parent"]) == (conversation, second["id"])
    assert ask(parent=None)["conversation"] != conversation


@pytest.mark.django_db(transaction=True)
def test_follow_up_uses_only_its_own_branch_as_context(
    mia: Caller, document: Document, parts: Engine
) -> None:
    """Questions on another branch are ignored."""
    indexed(
        document, parts, "Employees get 25 days of leave a year.", "Bicycles are parked behind the house."
    )
    leave = mia.post("/ask", {"question": "How many days of leave do employees get a year?"}).json()
    where = {"conversation": leave["conversation"]}
    assert isinstance(parts.chat, FakeChat)
    mia.post("/ask", {"question": "Where are bicycles parked?", "parent": None, **where})
    follow = {"question": "And for contractors?", **where}
    on_branch = mia.post("/ask", {**follow, "parent": leave["id"]}).json()
    on_current = mia.post("/ask", {**follow, "parent": None}).json()
    assert "leave" in on_branch["standalone_question"]
    assert "leave" not in on_current["standalone_question"]


@pytest.mark.django_db(transaction=True)
def test_title_follows_an_edited_first_question(mia: Caller, document: Document, parts: Engine) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    first = mia.post("/ask", {"question": "How many day of leave?"}).json()
    where = {"conversation": first["conversation"]}
    address = f"/conversations/{first['conversation']}"

    def title_after(question: str, **body: Any) -> str:
        asked = mia.post("/ask", {"question": question, **where, **body})
        assert asked.status_code == 200, asked.content
        return str(mia.get(address).json()["title"])

    assert title_after("How many days of leave?\nPer year, please.", parent=None) == "How many days of leave?"
    assert title_after("And for contractors?") == "How many days of leave?"
    assert title_after("How many days of leave? " * 9, parent=None).endswith("…")
    mia.patch(address, {"title": "Leave"})
    assert title_after("How long is parental leave?", parent=None) == "Leave"


def test_parent_message_of_another_user_is_not_found(
    rob: Caller, mia: Caller, conversation: Conversation, tree: dict[str, Message]
) -> None:
    mine = Conversation.objects.create(user=mia.user, title="Mine")
    question = {"question": "Why?"}
    for parent in (str(tree["first"].id), ABSENT, "nonsense"):
        assert_problem(mia.post("/ask", {**question, "parent": parent}), 404, "not_found")
        body = {**question, "conversation": str(mine.id), "parent": parent}
        assert_problem(mia.post("/ask", body), 404, "not_found")
        assert_problem(mia.patch(f"/conversations/{mine.id}", {"current": parent}), 404, "not_found")
    elsewhere = {**question, "conversation": str(Conversation.objects.create(user=rob.user, title="x").id)}
    assert_problem(rob.post("/ask", {**elsewhere, "parent": str(tree["first"].id)}), 404, "not_found")
    assert_problem(rob.patch(f"/conversations/{conversation.id}", {"current": None}), 422, "invalid")
    assert Message.objects.count() == len(tree)


def test_migration_chains_messages_in_chronological_order(conversation: Conversation) -> None:
    rows = [add_message(conversation, question) for question in ("one", "two", "three")]
    other = add_message(Conversation.objects.create(user_id=conversation.user_id, title="Other"), "alone")
    import_module("retrieval.migrations.0006_tree").chain(apps, None)
    parents = Message.objects.in_bulk([row.id for row in rows])
    assert [parents[row.id].parent_id for row in rows] == [None, rows[0].id, rows[1].id]
    conversation.refresh_from_db()
    assert conversation.current_id == rows[2].id
    assert Conversation.objects.get(title="Other").current_id == other.id
