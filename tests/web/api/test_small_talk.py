"""Small talk over HTTP: answered at once, and nothing is searched, written or counted for it."""

from typing import Any

import pytest

from cairn.access.models import Grant, Role
from cairn.audit.models import Event
from cairn.library.models import Document
from cairn.limits.models import Usage
from retrieval.engine import Engine
from retrieval.gaps.models import GapQuestion
from retrieval.models import Conversation, Message
from retrieval.statistics.models import AskedQuestion
from retrieval.suggestions.models import Suggestion
from tests.bases import make_base
from tests.fakes import FakeChat, FakeEmbedder
from tests.web.api.conftest import Caller, assert_problem, events, indexed, streamed

QUESTION = "How many days of leave do employees get a year?"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    for number in range(5):
        Suggestion.objects.create(
            document=document, knowledge_base=document.knowledge_base, question=f"Who gets leave {number}?"
        )
    return document


def asked(caller: Caller, question: str, **body: Any) -> dict[str, Any]:
    response = caller.post("/ask", {"question": question, **body})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_small_talk_reply_has_no_verdict_or_citations(mia: Caller, leave: Document, parts: Engine) -> None:
    answer = asked(mia, "Hi!")
    assert (answer["mode"], answer["verdict"], answer["state"]) == ("small_talk", "", "done")
    assert answer["answer"] == "Hello! What would you like to know?"
    assert answer["citations"] == answer["sentences"] == answer["nearest"] == []
    assert mia.get(f"/conversations/{answer['conversation']}").json()["messages"] == [answer]
    assert mia.get(f"/messages/{answer['id']}").json() == answer
    assert isinstance(parts.chat, FakeChat)
    assert isinstance(parts.embedder, FakeEmbedder)
    assert (parts.chat.prompts, parts.embedder.queries) == ([], [])


def test_question_after_a_greeting_is_answered(mia: Caller, leave: Document) -> None:
    answer = asked(mia, f"Hi, {QUESTION[0].lower()}{QUESTION[1:]}")
    assert (answer["mode"], answer["verdict"]) == ("generated", "supported")


def test_small_talk_is_streamed(mia: Caller, leave: Document) -> None:
    response = mia.post("/ask", {"question": "Danke!", "stream": True})
    found = events(streamed(response))
    assert [name for name, _ in found] == ["start", "delta", "done"]
    assert found[1][1]["text"] == found[2][1]["answer"]
    assert found[1][1]["text"].startswith("Gern geschehen")
    followed = events(streamed(mia.get(f"/messages/{found[2][1]['id']}/events")))
    assert followed[-1] == found[-1]


def test_small_talk_is_in_no_statistics_or_gaps(mia: Caller, leave: Document) -> None:
    answer = asked(mia, "help")
    assert mia.post(f"/messages/{answer['id']}/feedback", {"rating": "down"}).status_code == 200
    assert not AskedQuestion.objects.exists()
    assert not GapQuestion.objects.exists()
    assert not Usage.objects.exists()
    assert Event.objects.filter(action="question.asked").count() == 1
    asked(mia, QUESTION)
    assert AskedQuestion.objects.count() == 1
    assert Usage.objects.exists()


def test_small_talk_is_not_context_of_a_follow_up(mia: Caller, leave: Document) -> None:
    first = asked(mia, QUESTION)
    thanks = asked(mia, "thanks!", conversation=first["conversation"])
    follow_up = asked(mia, "And a month?", conversation=first["conversation"])
    assert follow_up["parent"] == thanks["id"]
    direct = asked(mia, "And a month?", conversation=first["conversation"], parent=first["id"])
    assert follow_up["standalone_question"] == direct["standalone_question"]
    alone = asked(mia, "And a month?", parent=None)
    greeting = asked(mia, "hello")
    after = asked(mia, "And a month?", conversation=greeting["conversation"])
    assert after["standalone_question"] == alone["standalone_question"] != direct["standalone_question"]


def test_reply_about_cairn_lists_the_knowledge_bases_of_the_reader(
    mia: Caller, rob: Caller, leave: Document
) -> None:
    make_base(name="Secret plans", principal=mia.principal)
    answer = asked(mia, "Who are you?")
    assert "Handbook" in answer["answer"]
    assert "Secret plans" in answer["answer"]
    assert "Secret" not in Message.objects.get(pk=answer["id"]).answer
    share = mia.put(f"/conversations/{answer['conversation']}/share", {"subjects": ["everyone"]}).json()
    [shared] = rob.get(f"/shared/{share['id']}").json()["messages"]
    assert shared["answer"].startswith("I’m Cairn")
    assert "Secret" not in shared["answer"]
    assert "You don’t have access" in shared["answer"]
    Grant.objects.create(knowledge_base=leave.knowledge_base, user=rob.user, role=Role.READER)
    [shared] = rob.get(f"/shared/{share['id']}").json()["messages"]
    assert "Handbook" in shared["answer"]
    own = rob.post(f"/shared/{share['id']}/continue").json()
    [copied] = rob.get(f"/conversations/{own['id']}").json()["messages"]
    assert copied["answer"].count("Handbook") == 1


def test_three_examples_follow_that_the_reader_may_see(mia: Caller, rob: Caller, leave: Document) -> None:
    answer = asked(mia, "hi")
    found = mia.get(f"/messages/{answer['id']}/suggestions").json()
    assert len(found["questions"]) == 3
    assert all(question.startswith("Who gets leave") for question in found["questions"])
    hidden = asked(rob, "hi")
    assert rob.get(f"/messages/{hidden['id']}/suggestions").json() == {"questions": []}
    assert_problem(rob.get(f"/messages/{answer['id']}/suggestions"), 404, "not_found")
    other = make_base(name="Other", principal=mia.principal)
    elsewhere = asked(mia, "hi", knowledge_bases=[other.slug])
    assert mia.get(f"/messages/{elsewhere['id']}/suggestions").json() == {"questions": []}


def test_export_of_small_talk_has_no_verdict(mia: Caller, leave: Document) -> None:
    answer = asked(mia, "hi")
    exported = mia.get(f"/conversations/{answer['conversation']}/export?format=markdown").content.decode()
    assert exported.rstrip().endswith("## hi\n\nHello! What would you like to know?")


def test_small_talk_ignores_the_question_limit(mia: Caller, admin: Caller, leave: Document) -> None:
    subject = f"user:{mia.user.id}"
    assert admin.put("/limits", {"subject": subject, "limits": {"questions_per_day": 0}}).status_code == 200
    assert mia.post("/ask", {"question": QUESTION}).status_code == 429
    assert asked(mia, "hi")["mode"] == "small_talk"
    assert mia.post("/ask", {"question": QUESTION}).status_code == 429


def test_title_is_taken_from_the_first_real_question(mia: Caller, leave: Document) -> None:
    greeting = asked(mia, "hi")
    row = Conversation.objects.get(pk=greeting["conversation"])
    assert row.title == "hi"
    asked(mia, QUESTION, conversation=greeting["conversation"])
    row.refresh_from_db()
    assert row.title == QUESTION
    asked(mia, "And a month?", conversation=greeting["conversation"])
    row.refresh_from_db()
    assert row.title == QUESTION
