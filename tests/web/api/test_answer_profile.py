"""The answer profile, set by admins: how answers use the language model."""

from typing import Any

import pytest

from cairn.audit.models import Event
from cairn.library.models import Document
from cairn.settings import environment
from retrieval.conversations import answer_models
from retrieval.engine import Engine
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem, indexed

QUESTION = "How many days of leave do employees get a year?"
DEFAULT = {"writes": False, "prompt_version": "answer-1", "evidence_tokens": 500, "judges": False}
"""Of the packaged model. The tests' engine has another one, which writes by default."""
WRITTEN = {**DEFAULT, "writes": True}
QUOTED = {**DEFAULT, "prompt_version": "answer-2"}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    return document


def answer_mode(caller: Caller, **body: Any) -> str:
    response = caller.post("/ask", {"question": QUESTION, **body})
    assert response.status_code == 200, response.content
    return str(response.json()["mode"])


def test_default_profile_applies_without_a_stored_one(admin: Caller, parts: Engine) -> None:
    shown = admin.get("/answer-profile").json()
    assert shown["model"] == environment().chat_model_name
    assert shown["profile"] == DEFAULT
    assert (shown["measured"], shown["questions"], shown["evaluated_at"]) == ([], 0, None)


def test_stored_profile_applies_to_the_next_question(admin: Caller, mia: Caller, leave: Document) -> None:
    assert answer_mode(mia) == "generated"
    measured = [{"profile": QUOTED, "right": 3, "wrongly_refused": 0.0, "first_token_ms": 12.5}]
    body = {"profile": QUOTED, "measured": measured, "questions": 4}
    put = admin.put("/answer-profile", body)
    assert put.status_code == 200, put.content
    shown = admin.get("/answer-profile").json()
    assert (shown["profile"], shown["measured"], shown["questions"]) == (QUOTED, measured, 4)
    assert shown["evaluated_at"]
    assert answer_mode(mia) == "extractive"
    assert admin.delete("/answer-profile").json()["profile"] == DEFAULT
    assert answer_mode(mia) == "generated"
    assert Event.objects.filter(action="models.profiled").count() == 2


def test_model_judge_of_a_profile_is_used(admin: Caller, mia: Caller, leave: Document, parts: Engine) -> None:
    admin.put("/answer-profile", {"profile": {**WRITTEN, "judges": True}})
    mia.post("/ask", {"question": QUESTION})
    assert isinstance(parts.chat, FakeChat)
    assert "yes or no" in str(parts.chat.prompts[0])


def test_explicit_setting_takes_precedence(
    admin: Caller, leave: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = environment().model_copy(update={"answer_evidence_tokens": 99})
    monkeypatch.setattr(answer_models, "effective_environment", lambda: own)
    admin.put("/answer-profile", {"profile": {**DEFAULT, "evidence_tokens": 2000}})
    assert admin.get("/answer-profile").json()["profile"]["evidence_tokens"] == 99


def test_admin_can_try_a_profile_for_a_single_question(admin: Caller, mia: Caller, leave: Document) -> None:
    assert_problem(mia.post("/ask", {"question": QUESTION, "profile": QUOTED}), 403, "forbidden")
    refused = admin.post("/ask", {"question": QUESTION, "profile": {**QUOTED, "prompt_version": "mine"}})
    assert refused.status_code == 422
    assert admin.post("/ask", {"question": QUESTION, "profile": QUOTED}).status_code == 200
    assert admin.get("/answer-profile").json()["profile"] == DEFAULT


@pytest.mark.parametrize(
    "body",
    [
        {"profile": {"evidence_tokens": 3}},
        {"profile": {"prompt_version": "../secret"}},
        {"profile": {}, "measured": [{"profile": {}, "right": 5}], "questions": 4},
        {"profile": {}, "more": 1},
        {"profile": {}, "questions": 2**63},
        {"profile": {}, "measured": [{"profile": {}, "right": 0, "first_token_ms": 1e12}]},
    ],
)
def test_invalid_profiles_change_nothing(admin: Caller, parts: Engine, body: dict[str, Any]) -> None:
    assert admin.put("/answer-profile", body).status_code == 422
    assert admin.get("/answer-profile").json()["profile"] == DEFAULT
