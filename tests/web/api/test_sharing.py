"""Conversations opened to others: each reader sees of them what they may read themselves, at that moment."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from cairn.access.models import Grant, Role
from cairn.access.services import readers_replace
from cairn.accounts.models import Group, User
from cairn.accounts.services import user_update
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from retrieval.conversations.services import ERASED, conversation_start, forget_document
from retrieval.conversations.shares import NOT_OPEN
from retrieval.engine import Engine
from retrieval.models import Citation, Conversation, Message, MessageState, Share
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed
from tests.web.api.test_subject_export import taken

QUOTE = "Employees get 25 days of leave a year."


@pytest.fixture
def answered(mia: Caller, document: Document, parts: Engine) -> Callable[..., Message]:
    """A question of mia's, answered from `document`, after what was asked before."""
    (chunk,) = indexed(document, parts, QUOTE)
    conversation = conversation_start(principal=mia.principal, question="How many days?")

    def make(**fields: Any) -> Message:
        conversation.refresh_from_db()
        given = {
            "question": "How many days?", "answer": f"{QUOTE} [1]", "state": MessageState.DONE,
            "verdict": "supported", "trace": {"hits": [{"document": str(document.id)}]},
        } | fields  # fmt: skip
        message = Message.objects.create(
            conversation=conversation, parent_id=conversation.current_id, **given
        )
        if given["answer"] == f"{QUOTE} [1]":
            Citation.objects.create(
                message=message, marker=1, document=document, version=chunk.version_id, chunk=chunk.id,
                title="Leave", page=2, quote=QUOTE, links=[[0, 2, "https://example.org/"]],
            )  # fmt: skip
        Conversation.objects.filter(pk=conversation.pk).update(current=message)
        return message

    return make


def shared(caller: Caller, message: Message, *to: str, **fields: Any) -> dict[str, Any]:
    path = f"/conversations/{message.conversation_id}/share"
    answer = caller.put(path, {"subjects": list(to) or ["everyone"], **fields})
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_shared_answers_are_visible_to_readers_of_their_documents(
    mia: Caller, rob: Caller, answered: Callable[..., Message], grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.READER)
    message = answered()
    share = shared(mia, message)
    assert share["url"] == f"/shared/{share['id']}"
    assert (share["subjects"], share["lags"]) == (["everyone"], False)
    seen = rob.get(f"/shared/{share['id']}").json()
    assert (seen["title"], seen["owner"]) == ("How many days?", "mia")
    [answer] = seen["messages"]
    assert (answer["question"], answer["answer"], answer["withheld"]) == (
        "How many days?", f"{QUOTE} [1]", False,
    )  # fmt: skip
    assert answer["citations"][0]["quote"] == QUOTE


def test_shared_answer_is_withheld_without_access_to_its_documents(
    mia: Caller, rob: Caller, answered: Callable[..., Message]
) -> None:
    share = shared(mia, answered(reason="Documents say different things about it."))
    response = rob.get(f"/shared/{share['id']}")
    [answer] = response.json()["messages"]
    assert (answer["question"], answer["answer"], answer["withheld"]) == ("How many days?", NOT_OPEN, True)
    assert (answer["citations"], answer["nearest"], answer["verdict"], answer["reason"]) == ([], [], "", "")
    assert "25 days" not in response.content.decode()
    assert "Leave" not in response.content.decode()


def test_shared_answer_depends_on_access_at_opening(
    mia: Caller,
    rob: Caller,
    base: KnowledgeBase,
    document: Document,
    answered: Callable[..., Message],
    grant: Callable[[Caller, Role], None],
) -> None:
    path = f"/shared/{shared(mia, answered())['id']}"

    def open_to_rob() -> bool:
        return not rob.get(path).json()["messages"][0]["withheld"]

    assert not open_to_rob()
    grant(rob, Role.READER)
    assert open_to_rob()
    readers_replace(document=document, readers=[f"user:{mia.user.id}"], actor=None)
    assert not open_to_rob()
    readers_replace(document=document, readers=["everyone"], actor=None)
    assert open_to_rob()
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    assert not open_to_rob()


@pytest.mark.parametrize(
    "fields",
    [
        {"state": MessageState.STOPPED, "answer": "Employees get 25"},
        {"sentences": [{"text": QUOTE, "supported": False, "markers": []}]},
        {"answer": "Employees get 25 days, says nobody knows who."},
    ],
    ids=["cut off", "marked as untraced", "without a citation"],
)
def test_shared_uncited_text_needs_access_to_everything_the_model_read(
    mia: Caller,
    rob: Caller,
    document: Document,
    answered: Callable[..., Message],
    grant: Callable[[Caller, Role], None],
    fields: dict[str, Any],
) -> None:
    """The citation, where there is one, is of a document that the reader may read."""
    grant(rob, Role.READER)
    hidden = mia.upload(
        str(document.knowledge_base_id), "b.md", b"b", readers=json.dumps([f"user:{mia.user.id}"])
    )
    hits = [{"document": str(document.id)}, {"document": hidden.json()["document"]["id"]}]
    message = answered(trace={"hits": hits}, **fields)
    path = f"/shared/{shared(mia, message)['id']}"
    assert rob.get(path).json()["messages"][0]["withheld"]
    Message.objects.filter(pk=message.pk).update(trace={"hits": hits[:1]})
    assert rob.get(path).json()["messages"][0]["withheld"] is False
    Message.objects.filter(pk=message.pk).update(trace={})
    assert rob.get(path).json()["messages"][0]["withheld"]


def test_shared_refusal_reveals_no_unreadable_documents(
    mia: Caller,
    rob: Caller,
    document: Document,
    answered: Callable[..., Message],
    grant: Callable[[Caller, Role], None],
) -> None:
    message = answered(
        answer="", verdict="refused", reason="I found passages about “leave”, but no date.",
        nearest=[{"document": str(document.id), "title": "Leave"}],
    )  # fmt: skip
    path = f"/shared/{shared(mia, message)['id']}"
    [answer] = rob.get(path).json()["messages"]
    assert (answer["verdict"], answer["nearest"], answer["reason"]) == ("refused", [], "")
    grant(rob, Role.READER)
    [answer] = rob.get(path).json()["messages"]
    assert [item["title"] for item in answer["nearest"]] == ["Leave"]
    assert answer["reason"].startswith("I found passages")


def test_shared_answer_hides_removed_sentences(
    mia: Caller, rob: Caller, answered: Callable[..., Message], grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.READER)
    message = answered(sentences=[{"text": "Managers get 99.", "supported": False, "markers": []}])
    response = rob.get(f"/shared/{shared(mia, message)['id']}")
    assert response.json()["messages"][0]["withheld"] is False
    assert "Managers" not in response.content.decode()


def test_share_link_is_a_snapshot_until_renewed(
    mia: Caller, rob: Caller, answered: Callable[..., Message]
) -> None:
    first = answered()
    share = shared(mia, first)
    second = answered(question="And for managers?")

    def questions() -> list[str]:
        return [each["question"] for each in rob.get(f"/shared/{share['id']}").json()["messages"]]

    assert questions() == ["How many days?"]
    again = shared(mia, first)
    assert (again["id"], again["lags"], questions()) == (share["id"], True, ["How many days?"])
    assert shared(mia, second, renew=True)["lags"] is False
    assert questions() == ["How many days?", "And for managers?"]


def test_new_branch_does_not_change_a_share(
    mia: Caller, rob: Caller, answered: Callable[..., Message]
) -> None:
    first = answered()
    share = shared(mia, first)
    other = Message.objects.create(
        conversation=first.conversation, question="Something else?", state=MessageState.DONE
    )
    Conversation.objects.filter(pk=first.conversation_id).update(current=other)
    seen = rob.get(f"/shared/{share['id']}").json()["messages"]
    assert [each["question"] for each in seen] == ["How many days?"]


def test_running_answer_is_not_in_a_conversation_share(mia: Caller, answered: Callable[..., Message]) -> None:
    running = answered(state=MessageState.RUNNING, answer="", verdict="")
    path = f"/conversations/{running.conversation_id}/share"
    assert_problem(mia.put(path, {"subjects": ["everyone"]}), 409, "conflict")
    done = answered()
    answered(state=MessageState.RUNNING, answer="", verdict="")
    shared(mia, done)
    assert Share.objects.get().last_id == done.id


def test_share_is_open_only_to_its_subjects(
    mia: Caller, rob: Caller, admin: Caller, answered: Callable[..., Message]
) -> None:
    ina = caller_for("ina")
    team = Group.objects.create(name="Team")
    team.members.add(ina.user)
    message = answered()
    share = shared(mia, message, f"user:{rob.user.id}", f"group:{team.id}")
    path = f"/shared/{share['id']}"
    for caller, status in ((rob, 200), (ina, 200), (mia, 200), (admin, 404)):
        assert caller.get(path).status_code == status, caller.user
    shared(mia, message, f"user:{rob.user.id}")
    assert_problem(ina.get(path), 404, "not_found")
    assert rob.get(path).status_code == 200
    User.objects.filter(pk=rob.user.pk).delete()
    assert Share.objects.get().subjects == []
    assert_problem(admin.get(path), 404, "not_found")


def test_readers_cannot_change_a_share(mia: Caller, rob: Caller, answered: Callable[..., Message]) -> None:
    message = answered()
    share = shared(mia, message)
    path = f"/conversations/{message.conversation_id}"
    assert_problem(rob.get(path), 404, "not_found")
    for answer in (
        rob.get(f"{path}/share"), rob.put(f"{path}/share", {"subjects": ["everyone"]}),
        rob.delete(f"{path}/share"), rob.get(f"/messages/{message.id}"),
        rob.post(f"/messages/{message.id}/feedback", {"rating": "up"}),
    ):  # fmt: skip
        assert_problem(answer, 404, "not_found")
    assert rob.get(f"/shared/{share['id']}").status_code == 200


@pytest.mark.parametrize("way", ["taken back", "owner disabled", "conversation deleted", "document erased"])
def test_share_link_ends_by_revocation_or_deletion(
    mia: Caller, rob: Caller, admin: Caller, document: Document, answered: Callable[..., Message], way: str
) -> None:
    message = answered()
    path = f"/shared/{shared(mia, message)['id']}"
    assert rob.get(path).status_code == 200
    conversation = f"/conversations/{message.conversation_id}"
    if way == "taken back":
        assert mia.delete(f"{conversation}/share").status_code == 204
        assert_problem(mia.delete(f"{conversation}/share"), 404, "not_found")
        assert_problem(mia.get(f"{conversation}/share"), 404, "not_found")
    elif way == "owner disabled":
        user_update(mia.user, is_active=False, actor=admin.user.id)
    elif way == "conversation deleted":
        assert mia.delete(conversation).status_code == 200
    else:
        forget_document(document.id)
    assert_problem(rob.get(path), 404, "not_found")


def test_share_after_revocation_has_a_new_address(mia: Caller, answered: Callable[..., Message]) -> None:
    message = answered()
    first = shared(mia, message)
    mia.delete(f"/conversations/{message.conversation_id}/share")
    assert shared(mia, message)["id"] != first["id"]


def test_invalid_share_subjects_are_rejected(mia: Caller, answered: Callable[..., Message]) -> None:
    path = f"/conversations/{answered().conversation_id}/share"
    for subjects in ([], ["nobody"], ["user:1"], [f"group:{mia.user.id}"], None):
        assert_problem(mia.put(path, {"subjects": subjects}), 422, "invalid")
    assert not Share.objects.exists()


def test_readers_of_everything_continue_a_share_in_their_own_conversation(
    mia: Caller,
    rob: Caller,
    document: Document,
    answered: Callable[..., Message],
    grant: Callable[[Caller, Role], None],
) -> None:
    answered()
    last = answered(question="And for managers?")
    Message.objects.filter(pk=last.pk).update(rating="down", rating_comment="Mia's own words")
    path = f"/shared/{shared(mia, last)['id']}/continue"
    assert_problem(rob.post(path), 409, "conflict")
    assert not Conversation.objects.filter(user=rob.user).exists()
    grant(rob, Role.READER)
    made = rob.post(path)
    assert made.status_code == 201, made.content
    own = rob.get(f"/conversations/{made.json()['id']}").json()
    assert [each["question"] for each in own["messages"]] == ["How many days?", "And for managers?"]
    citation = own["messages"][1]["citations"][0]
    assert citation["quote"] == QUOTE
    assert citation["links"] == [{"text": QUOTE[:2], "url": "https://example.org/"}]
    assert "Mia's own words" not in json.dumps(own)
    assert len(mia.get(f"/conversations/{last.conversation_id}").json()["messages"]) == 2
    forget_document(document.id)
    after = rob.get(f"/conversations/{made.json()['id']}").json()
    assert [each["answer"] for each in after["messages"]] == [ERASED, ERASED]


@pytest.mark.django_db(transaction=True)
def test_continuing_a_share_reads_and_writes_in_one_transaction(
    mia: Caller, rob: Caller, answered: Callable[..., Message], grant: Callable[[Caller, Role], None]
) -> None:
    """Otherwise text could be written again that an erasure removed in between."""
    grant(rob, Role.READER)
    share, inside = shared(mia, answered()), set()

    def look(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if '"answer"' in sql and '"retrieval_message"' in sql:
            inside.add((sql.partition(" ")[0], connection.in_atomic_block))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        assert rob.post(f"/shared/{share['id']}/continue").status_code == 201
    assert inside == {("SELECT", True), ("INSERT", True)}


def test_sharing_is_on_record_by_ids(mia: Caller, rob: Caller, answered: Callable[..., Message]) -> None:
    message = answered()
    share = shared(mia, message)
    for _ in range(2):
        rob.get(f"/shared/{share['id']}")
    shared(mia, message, f"user:{rob.user.id}")
    mia.delete(f"/conversations/{message.conversation_id}/share")
    events = Event.objects.filter(action__startswith="share.").order_by("id")
    assert [(event.action, event.actor) for event in events] == [
        ("share.created", mia.user.id), ("share.opened", rob.user.id),
        ("share.changed", mia.user.id), ("share.ended", mia.user.id),
    ]  # fmt: skip
    assert events[2].detail["to"] == [f"user:{rob.user.id}"]
    assert "days" not in json.dumps([event.detail for event in events])


def test_user_export_contains_shares(mia: Caller, answered: Callable[..., Message]) -> None:
    share = shared(mia, answered())
    [row] = taken(mia)["shares"]
    assert (row["id"], row["conversation"], row["to"]) == (share["id"], share["conversation"], ["everyone"])


def test_share_subjects_are_found_by_name_prefix(mia: Caller, rob: Caller, admin: Caller) -> None:
    own, other = Group.objects.create(name="Robotics"), Group.objects.create(name="Roberta's")
    own.members.add(mia.user)
    caller_for("robin")
    User.objects.filter(username="robin").update(is_active=False)

    def named(caller: Caller, query: str) -> set[str]:
        return {item["name"] for item in caller.get(f"/share-subjects?q={query}").json()}

    assert named(mia, "ROB") == {"Robotics", "rob"}
    assert named(admin, "rob") == {"Robotics", "Roberta's", "rob"}
    assert named(mia, "ob") == set()
    assert named(mia, "mia") == set()
    assert str(other.id) not in mia.get("/share-subjects?q=ro").content.decode()
    assert_problem(mia.get("/share-subjects?q=r"), 422, "invalid")


def test_single_answer_is_shared_without_the_rest(
    mia: Caller, rob: Caller, answered: Callable[..., Message], grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.READER)
    answered(question="What does the secret project pay?", answer="The secret [1].")
    message = answered(
        question="And per year?", standalone_question="What does the secret project pay a year?"
    )
    answered(question="Is it a secret?")
    path = f"/messages/{message.id}/share"
    assert_problem(mia.get(path), 404, "not_found")
    share = mia.put(path, {"subjects": [f"user:{rob.user.id}"]}).json()
    assert (share["message"], share["lags"]) == (str(message.id), False)
    assert mia.get(path).json() == share
    response = rob.get(f"/shared/{share['id']}")
    assert [each["question"] for each in response.json()["messages"]] == ["And per year?"]
    assert response.json()["title"] == "And per year?"
    rob.client.force_login(rob.user)
    page = rob.client.get(f"/shared/{share['id']}").content.decode()
    assert QUOTE in page
    copy = rob.post(f"/shared/{share['id']}/continue").json()
    copied = rob.get(f"/conversations/{copy['id']}")
    assert copied.json()["title"] == "And per year?"
    for text in (response.content.decode(), page, copied.content.decode()):
        assert "secret" not in text
    events = Event.objects.filter(subject=f"message:{message.id}", action__startswith="share.")
    assert set(events.values_list("action", flat=True)) == {"share.created"}


def test_shared_single_answer_is_withheld_without_access(
    mia: Caller, rob: Caller, answered: Callable[..., Message]
) -> None:
    message = answered()
    share = mia.put(f"/messages/{message.id}/share", {"subjects": ["everyone"]}).json()
    [seen] = rob.get(f"/shared/{share['id']}").json()["messages"]
    assert (seen["answer"], seen["withheld"]) == (NOT_OPEN, True)
    forget_document(message.citations.get().document_id)
    assert_problem(rob.get(f"/shared/{share['id']}"), 404, "not_found")


def test_conversation_and_answer_shares_are_independent(
    mia: Caller, rob: Caller, answered: Callable[..., Message]
) -> None:
    first, second = answered(), answered(question="Per month?")
    whole = shared(mia, second)
    links = [
        mia.put(f"/messages/{each.id}/share", {"subjects": ["everyone"]}).json() for each in (first, second)
    ]
    assert len({whole["id"], *(link["id"] for link in links)}) == 3
    again = mia.put(f"/messages/{first.id}/share", {"subjects": [f"user:{rob.user.id}"]}).json()
    assert (again["id"], again["subjects"]) == (links[0]["id"], [f"user:{rob.user.id}"])
    assert mia.delete(f"/messages/{first.id}/share").status_code == 204
    assert_problem(rob.get(f"/shared/{links[0]['id']}"), 404, "not_found")
    for link in (whole, links[1]):
        assert rob.get(f"/shared/{link['id']}").status_code == 200
    assert mia.delete(f"/conversations/{second.conversation_id}/share").status_code == 204
    assert_problem(rob.get(f"/shared/{whole['id']}"), 404, "not_found")
    assert rob.get(f"/shared/{links[1]['id']}").status_code == 200
    mia.client.force_login(mia.user)
    dialog = mia.client.get(
        f"/conversations/{second.conversation_id}/sharing", headers={"HX-Request": "true"}
    )
    assert f"/shared/{links[1]['id']}" in dialog.content.decode()


def test_running_answer_cannot_be_shared(mia: Caller, answered: Callable[..., Message]) -> None:
    message = answered(state=MessageState.RUNNING, answer="")
    assert_problem(mia.put(f"/messages/{message.id}/share", {"subjects": ["everyone"]}), 409, "conflict")
    assert not Share.objects.exists()
