"""Keywords and follow-ups in a conversation, over HTTP."""

from typing import Any

import pytest

from cairn.library.models import Document
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, indexed

LEAVE = "How many days of leave do employees get?"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(
        document,
        parts,
        "Employees get 25 days of leave a year.",
        "Contractors don't get days of leave.",
        "Parking is free: parking spaces are behind the house.",
    )
    return document


def ask(caller: Caller, *questions: str) -> dict[str, Any]:
    """Ask in one conversation; return the last answer."""
    answer: dict[str, Any] = {}
    for question in questions:
        body = {"question": question}
        if answer:
            body["conversation"] = answer["conversation"]
        response = caller.post("/ask", body)
        assert response.status_code == 200, response.content
        answer = response.json()
    return answer


def test_keyword_question_has_its_own_subject(mia: Caller, leave: Document) -> None:
    answer = ask(mia, LEAVE, "parking")
    assert answer["standalone_question"] == "parking"
    assert "behind the house" in answer["answer"]
    assert "25 days" not in answer["answer"]


def test_nonsense_follow_up_is_refused(mia: Caller, leave: Document) -> None:
    answer = ask(mia, LEAVE, "asdfgh")
    assert (answer["verdict"], answer["standalone_question"]) == ("refused", "asdfgh")


def test_follow_up_includes_the_subject_of_its_predecessor(mia: Caller, leave: Document) -> None:
    answer = ask(mia, LEAVE, "and for contractors?")
    assert answer["standalone_question"] == f"{LEAVE} and for contractors?"


def test_failed_question_is_not_context_of_a_follow_up(mia: Caller, leave: Document) -> None:
    for failed in ("Summarise the zeppelin.pdf", "compare zeppelins?", "Hello!"):
        answer = ask(mia, LEAVE, failed, "and for contractors?")
        assert answer["standalone_question"] == f"{LEAVE} and for contractors?"


def test_command_without_a_subject_is_not_context(mia: Caller, leave: Document) -> None:
    answer = ask(mia, "summarise it", "Summarise this document", "and the schedule?")
    assert answer["standalone_question"] == "and the schedule?"
