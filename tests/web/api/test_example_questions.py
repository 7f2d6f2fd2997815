"""Questions that managers chose, that several people asked, and that follow an answer."""

from collections.abc import Callable
from typing import Any

import pytest

from cairn.access.models import Grant, Role
from cairn.access.services import readers_replace
from cairn.audit.models import Event
from cairn.library.models import Chunk, Document, KnowledgeBase
from retrieval.conversations.services import conversation_delete
from retrieval.models import Conversation
from retrieval.suggestions.models import ExampleQuestion, Suggestion
from retrieval.suggestions.services import suggestions_for, suggestions_replace
from tests.web.api.conftest import Caller, assert_problem, caller_for

QUESTION = "How many days of leave do employees get a year?"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reader(base: KnowledgeBase) -> Callable[[str], Caller]:
    def make(name: str) -> Caller:
        caller = caller_for(name)
        Grant.objects.create(knowledge_base=base, user=caller.user, role=Role.READER)
        return caller

    return make


def put(caller: Caller, base: KnowledgeBase, *questions: str) -> Any:
    return caller.put(f"/knowledge-bases/{base.slug}/example-questions", {"questions": list(questions)})


def ask(caller: Caller, question: str = QUESTION, **body: Any) -> dict[str, Any]:
    response = caller.post("/ask", {"question": question, **body})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_managers_choose_the_first_suggested_questions(
    mia: Caller, rob: Caller, leave: Document, reader: Callable[[str], Caller]
) -> None:
    base, rea = leave.knowledge_base, reader("rea")
    Suggestion.objects.create(document=leave, knowledge_base=base, question="Where are bicycles parked?")
    assert put(mia, base, "Who gets leave?", " When?  ", "Who gets leave?").json() == {
        "questions": ["Who gets leave?", "When?"]
    }
    assert suggestions_for(rea.principal)[:2] == ["Who gets leave?", "When?"]
    put(mia, base, "When?", "Who gets leave?")
    assert suggestions_for(rea.principal)[:2] == ["When?", "Who gets leave?"]
    url = f"/knowledge-bases/{base.slug}/example-questions"
    assert rea.get(url).json() == {"questions": ["When?", "Who gets leave?"]}
    assert_problem(put(rea, base, "Mine?"), 403, "forbidden")
    assert_problem(rob.get(url), 404, "not_found")
    assert_problem(put(rob, base, "Mine?"), 404, "not_found")
    assert suggestions_for(rob.principal) == []
    assert put(mia, base).json() == {"questions": []}
    assert suggestions_for(rea.principal) == ["Where are bicycles parked?"]
    changes = Event.objects.filter(action="knowledge_base.examples_changed")
    assert [event.detail["questions"] for event in changes.order_by("id")] == [2, 2, 0]


@pytest.mark.parametrize("questions", [["a?"] * 21, ["x" * 201], [""], [" "], [1], ["\x00?"], "a?"])
def test_invalid_lists_are_refused(mia: Caller, base: KnowledgeBase, questions: Any) -> None:
    url = f"/knowledge-bases/{base.slug}/example-questions"
    assert_problem(mia.put(url, {"questions": questions}), 422, "invalid")
    assert not ExampleQuestion.objects.exists()


def test_question_asked_by_three_people_is_suggested_to_others(
    mia: Caller, rob: Caller, leave: Document, reader: Callable[[str], Caller]
) -> None:
    askers = [reader(name) for name in ("ann", "ben", "cem")]
    dee = reader("dee")
    for asker in [*askers[:2], askers[0], askers[0]]:
        assert ask(asker)["verdict"] == "supported"
    assert suggestions_for(dee.principal) == []  # of two people, however often
    last = ask(askers[2], f" {QUESTION[0].lower()}{QUESTION[1:]} ")
    assert [each.casefold() for each in suggestions_for(dee.principal)] == [QUESTION.casefold()]
    assert suggestions_for(rob.principal) == []
    readers_replace(document=leave, readers=[f"user:{askers[0].user.id}"], actor=None)
    assert suggestions_for(dee.principal) == []
    readers_replace(document=leave, readers=["everyone"], actor=None)
    assert suggestions_for(dee.principal) != []
    row = Conversation.objects.get(pk=last["conversation"])
    conversation_delete(conversation=row, actor=None)
    assert suggestions_for(dee.principal) == []


def test_badly_answered_or_private_questions_are_not_suggested(
    leave: Document, reader: Callable[[str], Caller]
) -> None:
    askers = [reader(name) for name in ("ann", "ben", "cem")]
    for asker in askers:
        assert ask(asker, "Who painted the Mona Lisa?")["verdict"] == "refused"
        ask(asker, QUESTION, pass_on=False)
    assert suggestions_for(askers[0].principal) == []
    rated = [ask(asker) for asker in askers]
    assert suggestions_for(askers[0].principal) == [QUESTION]
    askers[1].post(f"/messages/{rated[1]['id']}/feedback", {"rating": "down"})
    assert suggestions_for(askers[0].principal) == []


def test_follow_up_suggestions_are_answerable(mia: Caller, rob: Caller, leave: Document) -> None:
    for question in (QUESTION, "Where are bicycles parked?", "Who painted the Mona Lisa?"):
        Suggestion.objects.create(document=leave, knowledge_base=leave.knowledge_base, question=question)
    answer = ask(mia)
    url = f"/messages/{answer['id']}/suggestions"
    assert mia.get(url).json() == {"questions": ["Where are bicycles parked?"]}
    assert_problem(rob.get(url), 404, "not_found")
    ask(mia, "Where are bicycles parked?", conversation=answer["conversation"])
    assert mia.get(url).json() == {"questions": []}
    refused = ask(mia, "Who painted the Mona Lisa?")
    assert mia.get(f"/messages/{refused['id']}/suggestions").json() == {"questions": []}


def test_follow_up_suggestions_omit_the_quoted_section(mia: Caller, leave: Document) -> None:
    version = leave.active_version
    assert version is not None
    for ordinal, heading in enumerate(["Who gets leave?", "Where are bicycles parked?"]):
        Chunk.objects.filter(version=version, ordinal=ordinal).update(section=[heading])
    suggestions_replace(leave)
    assert Suggestion.objects.count() == 2
    answer = ask(mia)
    assert [each["section"] for each in answer["citations"]] == [["Who gets leave?"]]
    suggested = mia.get(f"/messages/{answer['id']}/suggestions").json()["questions"]
    assert suggested == ["Where are bicycles parked?"]


def test_follow_up_suggestions_end_with_access(
    mia: Caller, leave: Document, reader: Callable[[str], Caller]
) -> None:
    rea = reader("rea")
    Suggestion.objects.create(
        document=leave, knowledge_base=leave.knowledge_base, question="Where are bicycles parked?"
    )
    answer = ask(rea)
    url = f"/messages/{answer['id']}/suggestions"
    assert len(rea.get(url).json()["questions"]) == 1
    readers_replace(document=leave, readers=[f"user:{mia.user.id}"], actor=None)
    assert rea.get(url).json() == {"questions": []}


def test_follow_up_suggestions_count_towards_the_search_limit(
    mia: Caller, admin: Caller, leave: Document
) -> None:
    answer = ask(mia)
    limits = {"searches_per_minute": 0}
    assert admin.put("/limits", {"subject": "everyone", "limits": limits}).status_code == 200
    assert_problem(mia.get(f"/messages/{answer['id']}/suggestions"), 429, "rate_limited")
    small_talk = ask(mia, "hi")
    assert mia.get(f"/messages/{small_talk['id']}/suggestions").status_code == 200
