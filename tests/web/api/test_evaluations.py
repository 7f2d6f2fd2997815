import json
from collections.abc import Callable
from typing import Any

import pytest

from cairn.access.models import Grant, Role
from cairn.access.services import knowledge_base_create
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.documents import erase
from retrieval.engine import Engine
from retrieval.evaluation.models import EvaluationRun
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed

ABSENT = "00000000-0000-0000-0000-000000000001"
OUTCOME: dict[str, Any] = {
    "id": "leave-1",
    "kind": "paraphrase",
    "question": "How many days off do I get?",
    "standalone_question": "How many days off do I get?",
    "right": True,
    "refused": False,
    "verdict": "supported",
    "answer": "You get 25 days [1].",
    "rank": 1,
    "quoted": 1.0,
    "faithfulness": None,
    "relevancy": 0.0,
    "cited": ["leave.md"],
    "documents": [],
    "relevant": ["leave.md"],
}


def run(base: KnowledgeBase, **fields: Any) -> dict[str, Any]:
    return {
        "knowledge_base": str(base.id),
        "name": "first",
        "gold": {"name": "handbook", "sha256": "a" * 64},
        "measures": {"mrr": 0.75, "must_contain": None},
        "outcomes": [OUTCOME, {**OUTCOME, "id": "leave-2", "right": False}],
        **fields,
    }


@pytest.fixture
def stored(mia: Caller, base: KnowledgeBase, parts: Engine) -> str:
    made = mia.post("/evaluations", run(base))
    assert made.status_code == 201, made.content
    return str(made.json()["id"])


def listed(caller: Caller, query: str = "") -> list[str]:
    return [item["name"] for item in caller.get(f"/evaluations{query}").json()["items"]]


def test_evaluation_run_is_stored_with_current_settings(
    mia: Caller, base: KnowledgeBase, stored: str
) -> None:
    kept = mia.get(f"/evaluations/{stored}").json()
    assert (kept["questions"], kept["right"], kept["created_by"]) == (2, 1, "mia")
    assert kept["measures"] == {"mrr": 0.75, "must_contain": None}
    assert kept["outcomes"] == run(base)["outcomes"]
    assert kept["settings"] == {
        "embedding_model": "fake-words", "index_generation": "test", "chat_model": FakeChat().name,
        "prompt_version": "answer-1", "answer_style": "written", "evidence_tokens": 500,
        "grounding": "strict",
    }  # fmt: skip


def test_evaluation_runs_are_listed_newest_first_without_outcomes(
    mia: Caller, base: KnowledgeBase, stored: str
) -> None:
    mia.post("/evaluations", run(base, name="second"))
    assert listed(mia) == ["second", "first"]
    assert listed(mia, f"?knowledge_base={base.id}&limit=1") == ["second"]
    assert listed(mia, f"?knowledge_base={ABSENT}") == listed(mia, "?knowledge_base=nonsense") == []
    assert "outcomes" not in mia.get("/evaluations").json()["items"][0]


def test_evaluation_runs_are_only_for_managers(
    mia: Caller, rob: Caller, admin: Caller, base: KnowledgeBase, stored: str, grant: Callable[..., None]
) -> None:
    for role in (None, Role.READER, Role.EDITOR):
        if role:
            Grant.objects.filter(user=rob.user).delete()
            grant(rob, role)
        assert listed(rob) == []
        for method in ("GET", "DELETE"):
            assert_problem(rob.send(method, f"/evaluations/{stored}"), 404, "not_found")
        wanted = (404, "not_found") if role is None else (403, "forbidden")
        assert_problem(rob.post("/evaluations", run(base)), *wanted)
    grant(rob, Role.MANAGER)
    assert listed(rob) == listed(admin) == ["first"]
    assert rob.delete(f"/evaluations/{stored}").status_code == 200
    assert listed(mia) == []


def test_evaluation_requires_the_manage_scope(base: KnowledgeBase, stored: str) -> None:
    asks = caller_for("kay", is_admin=True, scopes=["ask", "search"])
    assert_problem(asks.get("/evaluations"), 403, "forbidden")


def test_deleting_a_knowledge_base_deletes_its_evaluation_runs(
    mia: Caller, base: KnowledgeBase, stored: str
) -> None:
    mia.delete(f"/knowledge-bases/{base.id}")
    assert listed(mia) == []
    assert_problem(mia.get(f"/evaluations/{stored}"), 404, "not_found")


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"name": ""}, "name"),
        ({"gold": {"name": "x", "sha256": "y"}}, "sha256"),
        ({"outcomes": []}, "outcomes"),
        ({"outcomes": [{**OUTCOME, "kind": "hard"}]}, "kind"),
        ({"outcomes": [{**OUTCOME, "rank": 0}]}, "rank"),
        ({"outcomes": [{**OUTCOME, "colour": "red"}]}, "colour"),
        ({"measures": {"m" * 300: 1}}, "measures"),
        ({"settings": {}}, "settings"),
    ],
)
def test_invalid_evaluation_run_is_rejected(
    mia: Caller, base: KnowledgeBase, parts: Engine, fields: dict[str, Any], at: str
) -> None:
    answer = mia.post("/evaluations", run(base, **fields))
    assert at in str(assert_problem(answer, 422, "invalid")["errors"])
    assert not EvaluationRun.objects.exists()


def test_infinite_measure_is_rejected(mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    """JSON lets it be written, and no database would store what becomes of it."""
    body = json.dumps(run(base)).replace("0.75", "1e999")
    headers = {"Authorization": f"Bearer {mia.key}"}
    answer = mia.client.post("/api/v1/evaluations", body, content_type="application/json", headers=headers)
    assert_problem(answer, 400, "malformed")


def test_evaluation_answers_are_erased_with_their_documents(
    mia: Caller, base: KnowledgeBase, document: Document, parts: Engine
) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    quoting = {**OUTCOME, "documents": [str(document.id)]}
    made = mia.post("/evaluations", run(base, outcomes=[quoting, {**OUTCOME, "id": "b"}])).json()
    assert mia.get(f"/evaluations/{made['id']}").json()["outcomes"][0]["answer"] == OUTCOME["answer"]
    receipt = mia.delete(f"/documents/{document.id}").json()["receipt"]
    erase(receipt["id"], parts.index)
    assert mia.get(f"/receipts/{receipt['id']}").json()["removed"]["quotes"] == 1
    first, second = mia.get(f"/evaluations/{made['id']}").json()["outcomes"]
    assert "25 days" not in first["answer"]
    assert (first["documents"], first["right"]) == ([], True)
    assert second["answer"] == OUTCOME["answer"]


def test_evaluation_answer_from_a_missing_or_foreign_document_is_not_stored(
    mia: Caller, admin: Caller, base: KnowledgeBase, parts: Engine
) -> None:
    other = knowledge_base_create(name="Other", principal=admin.principal)
    elsewhere = admin.upload(str(other.id), "secret.md", b"secret").json()["document"]["id"]
    for gone in (ABSENT, "nonsense", elsewhere):
        made = mia.post("/evaluations", run(base, outcomes=[{**OUTCOME, "documents": [gone]}])).json()
        [kept] = mia.get(f"/evaluations/{made['id']}").json()["outcomes"]
        assert "25 days" not in kept["answer"]
