"""The retrieval API for Dify, with the requests that Dify sends."""

import json
from typing import Any

import pytest

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.accounts.services import user_update
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, Response, caller_for, indexed

QUERY = "How many days of leave do employees get a year?"
LEAVE = "Employees get 25 days of leave a year."
pytestmark = pytest.mark.django_db


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, LEAVE, "Bicycles are parked behind the house.")
    return document


def ask(caller: Caller, base: str = "handbook", **body: Any) -> Response:
    sent = {
        "knowledge_id": base,
        "query": QUERY,
        "retrieval_setting": {"top_k": 3, "score_threshold": 0.0},
        **body,
    }
    return caller.client.post(
        "/retrieval",
        json.dumps(sent),
        content_type="application/json",
        headers={"Authorization": f"Bearer {caller.key}"},
    )


def records(caller: Caller, **body: Any) -> list[dict[str, Any]]:
    response = ask(caller, **body)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["records"]
    return found


def contents(caller: Caller, **body: Any) -> list[str]:
    return [record["content"] for record in records(caller, **body)]


def assert_error(response: Response, status: int, code: int) -> str:
    assert response.status_code == status, response.content
    error = response.json()
    assert error.keys() == {"error_code", "error_msg"}
    assert error["error_code"] == code
    return str(error["error_msg"])


def test_passages_include_their_source(mia: Caller, leave: Document) -> None:
    best, second = records(mia)
    assert (best["content"], best["title"]) == (LEAVE, leave.title)
    assert 0 <= second["score"] <= best["score"] <= 1
    told = best["metadata"]
    assert told["document_id"] == str(leave.id)
    assert told["path"].startswith(f"http://testserver/library/documents/{leave.id}?chunk=")


def test_misspelt_words_are_corrected(mia: Caller, leave: Document) -> None:
    assert records(mia, query="bicycels") == records(mia, query="bicycles")


def test_knowledge_base_is_found_by_slug_or_id(mia: Caller, base: KnowledgeBase, leave: Document) -> None:
    assert records(mia, base=base.slug) == records(mia, base=str(base.id))


def test_results_respect_top_k_and_the_score_threshold(mia: Caller, leave: Document) -> None:
    assert contents(mia, retrieval_setting={"top_k": 1, "score_threshold": 0.0}) == [LEAVE]
    every = records(mia)
    between = (every[0]["score"] + every[1]["score"]) / 2
    assert contents(mia, retrieval_setting={"top_k": 3, "score_threshold": between}) == [LEAVE]
    assert len(records(mia, retrieval_setting={"top_k": 100_000, "score_threshold": 0})) == 2


def test_dify_retrieval_returns_only_readable_passages(
    mia: Caller, rob: Caller, base: KnowledgeBase, leave: Document, grant: Any
) -> None:
    assert "no" in assert_error(ask(rob), 404, 2001).lower()
    assert ask(rob).content == ask(rob, base="never-there").content, "neither tells whether it is there"
    grant(rob, Role.READER)
    assert contents(rob)[0] == LEAVE
    readers_replace(document=leave, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    assert contents(rob) == []


def test_unauthorised_keys_are_rejected(admin: Caller, mia: Caller, leave: Document) -> None:
    elsewhere = Caller(mia.user, "cairn_00000000_" + "x" * 43)
    assert_error(ask(elsewhere), 401, 1002)
    ingesting = caller_for("ben", scopes=["ingest"])
    assert_error(ask(ingesting), 403, 1002)
    without = mia.client.post("/retrieval", "{}", content_type="application/json")
    assert_error(without, 401, 1002)
    user_update(user=mia.user, actor=None, is_active=False)
    assert_error(ask(mia), 401, 1002)


@pytest.mark.parametrize(
    "body",
    [
        {"query": " "},
        {"query": "x" * 2001},
        {"query": 5},
        {"retrieval_setting": {"top_k": 0, "score_threshold": 0}},
        {"retrieval_setting": {"top_k": 3, "score_threshold": 7}},
        {"metadata_condition": {"conditions": [{"name": "a", "comparison_operator": "like", "value": "b"}]}},
        {"metadata_condition": {"conditions": [{"name": "a", "comparison_operator": "is"}] * 51}},
    ],
)
def test_invalid_requests_have_an_error_message(mia: Caller, leave: Document, body: dict[str, Any]) -> None:
    assert assert_error(ask(mia, **body), 422, 422)


def test_invalid_json_and_other_media_types_are_rejected(mia: Caller, leave: Document) -> None:
    headers = {"Authorization": f"Bearer {mia.key}"}
    broken = mia.client.post("/retrieval", "{", content_type="application/json", headers=headers)
    assert_error(broken, 400, 400)
    form = mia.client.post("/retrieval", {"query": "x"}, headers=headers)
    assert_error(form, 415, 415)
    assert_error(mia.client.get("/retrieval", headers=headers), 405, 405)


@pytest.mark.parametrize(
    ("name", "operator", "value", "fits"),
    [
        ("team", "is", "HR", True),
        ("team", "is", "law", False),
        ("team", "is not", "law", True),
        ("team", "in", ["law", "hr"], True),
        ("team", "not in", ["law", "hr"], False),
        ("team", "start with", "h", True),
        ("team", "end with", "x", False),
        ("title", "contains", "leave", True),
        ("title", "not contains", "leave", False),
        ("tags", "contains", "open", True),
        ("nothing", "empty", None, True),
        ("team", "not empty", None, True),
        ("year", "=", 2025, True),
        ("year", "≠", "2025", False),
        ("year", ">", 2024.5, True),
        ("year", "<", 2025, False),
        ("year", "≥", "2025", True),
        ("year", "≤", 2024, False),
        ("team", ">", 1, False),
        ("issued", "before", "2025-03-02", True),
        ("issued", "after", "2025-03-01T12:00:00+00:00", False),
        ("issued", "after", 0, True),
        ("issued", "after", 1e300, False),
        (["nothing", "team"], "is", "hr", True),
    ],
)
def test_conditions_on_metadata(
    mia: Caller, leave: Document, name: str | list[str], operator: str, value: Any, fits: bool
) -> None:
    leave.metadata = {"team": "hr", "year": 2025, "issued": "2025-03-01", "tags": ["open", "new"]}
    leave.save()
    condition = {"name": name, "comparison_operator": operator, "value": value}
    assert bool(contents(mia, metadata_condition={"conditions": [condition]})) is fits


def test_conditions_together(mia: Caller, leave: Document) -> None:
    leave.metadata = {"team": "hr"}
    leave.save()
    conditions = [{"name": "team", "comparison_operator": "is", "value": team} for team in ("hr", "law")]
    assert not contents(mia, metadata_condition={"logical_operator": "and", "conditions": conditions})
    assert contents(mia, metadata_condition={"logical_operator": "or", "conditions": conditions})
    assert contents(mia, metadata_condition={"conditions": []})


def test_conditions_do_not_reveal_hidden_documents(
    mia: Caller, rob: Caller, base: KnowledgeBase, leave: Document, parts: Engine, grant: Any
) -> None:
    grant(rob, Role.READER)
    readers_replace(document=leave, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    condition = {"name": "title", "comparison_operator": "not empty"}
    assert contents(rob, metadata_condition={"conditions": [condition]}) == []
    assert contents(mia, metadata_condition={"conditions": [condition]})
