"""Bad requests get problem documents, never a 500, and request data is not repeated."""

import json
from typing import Any

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, assert_problem

ABSENT = "00000000-0000-0000-0000-000000000001"
MALFORMED = ["x", "%00", "%ff", "1" * 5000, "..", "null", "%ED%A0%80", "{}", "' OR 1=1"]


NOWHERE = ["/api/", "/api/v1", "/api/v1/", "/api/nothing", "/api/v1/users/", "/api/v2/me", "/api/v1/a%0Ab"]


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_routes_are_problems(mia: Caller, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {mia.key}"}
    assert_problem(Client().generic(method, path, headers=headers), 404, "not_found")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(mia.user)
    assert_problem(browser.generic(method, path), 404, "not_found")


@pytest.mark.parametrize("path", NOWHERE)
def test_unknown_route_returns_401_without_a_key(db: None, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer made-up"}):
        response = Client().get(path, headers=headers)
        assert_problem(response, 401, "not_signed_in")
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/me"), ("OPTIONS", "/me"), ("DELETE", "/search"), ("GET", "/ask")]
)
def test_wrong_method_returns_401_without_a_key(mia: Caller, method: str, path: str) -> None:
    response = Client().generic(method, f"/api/v1{path}")
    assert_problem(response, 401, "not_signed_in")
    assert "Allow" not in response
    assert_problem(mia.send(method, path), 405, "method_not_allowed")
    browser = Client()
    browser.force_login(mia.user)
    assert_problem(browser.generic(method, f"/api/v1{path}"), 405, "method_not_allowed")


def test_wrong_method_returns_allowed_methods(mia: Caller) -> None:
    response = mia.send("DELETE", "/search")
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "POST"


@pytest.mark.parametrize("identity", [ABSENT, *MALFORMED])
@pytest.mark.parametrize(
    "path", ["/documents/{}", "/knowledge-bases/{}", "/jobs/{}", "/conversations/{}", "/receipts/{}"]
)
def test_unknown_id_returns_404(mia: Caller, path: str, identity: str) -> None:
    assert_problem(mia.get(path.format(identity)), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/knowledge-bases/{base}"),
        ("PATCH", "/knowledge-bases/{base}"),
        ("DELETE", "/knowledge-bases/{base}"),
        ("GET", "/knowledge-bases/{base}/grants"),
        ("GET", "/knowledge-bases/{base}/documents"),
        ("GET", "/documents/{document}"),
        ("PATCH", "/documents/{document}"),
        ("DELETE", "/documents/{document}"),
        ("GET", "/documents/{document}/content"),
        ("GET", "/documents/{document}/rendition"),
        ("GET", "/documents/{document}/pages/1.png"),
        ("GET", "/jobs/{job}"),
        ("GET", "/jobs/{job}/events"),
        ("POST", "/jobs/{job}/retry"),
        ("POST", "/jobs/{job}/cancel"),
    ],
)
def test_unreadable_objects_look_like_missing_ones(
    rob: Caller, base: KnowledgeBase, document: Document, method: str, path: str
) -> None:
    assert document.latest_version is not None
    ids = {"base": base.id, "document": document.id, "job": document.latest_version.job.id}
    body = {} if method == "PATCH" else None
    hidden = rob.send(method, path.format(**ids), body)
    absent = rob.send(method, path.format(base=ABSENT, document=ABSENT, job=ABSENT), body)
    assert_problem(hidden, 404, "not_found")
    assert hidden.content == absent.content


def test_visible_object_with_too_low_a_role_returns_403(
    rob: Caller, base: KnowledgeBase, document: Document, grant: Any
) -> None:
    grant(rob, Role.READER)
    assert_problem(rob.delete(f"/documents/{document.id}"), 403, "forbidden")
    assert_problem(rob.patch(f"/documents/{document.id}", {"title": "Mine"}), 403, "forbidden")
    assert_problem(rob.delete(f"/knowledge-bases/{base.id}"), 403, "forbidden")
    assert_problem(rob.get(f"/knowledge-bases/{base.id}/grants"), 403, "forbidden")
    assert_problem(rob.upload(str(base.id), "a.txt", b"a"), 403, "forbidden")


def raw(caller: Caller, path: str, body: bytes, content_type: str = "application/json") -> Any:
    headers = {"Authorization": f"Bearer {caller.key}"}
    return caller.client.post(f"/api/v1{path}", data=body, content_type=content_type, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"nonsense", b'{"query": }', b"\xff\xfe\x00", b'{"query": NaN}', b"[" * 100_000,
        b'{"query": "a", "top_k": ' + b"9" * 5000 + b"}", b"\x00",
    ],
)  # fmt: skip
def test_invalid_json_returns_400(mia: Caller, body: bytes) -> None:
    assert_problem(raw(mia, "/search", body), 400, "malformed")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"],
)
def test_unsupported_media_type_returns_415(mia: Caller, content_type: str) -> None:
    assert_problem(raw(mia, "/search", b'{"query": "a"}', content_type), 415, "unsupported_media_type")


def test_unsupported_media_type_with_a_session_returns_415(mia: Caller, settings: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(mia.user)
    client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    response = client.post("/api/v1/search", {"query": "a"}, headers={"X-CSRFToken": "a" * 32})
    assert_problem(response, 415, "unsupported_media_type")


def test_oversized_body_returns_413(mia: Caller, settings: Any) -> None:
    body = json.dumps({"query": "a" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}).encode()
    assert_problem(raw(mia, "/search", body), 413, "too_large")


INVALID: list[tuple[str, str, Any]] = [
    ("POST", "/search", None),
    ("POST", "/search", []),
    ("POST", "/search", "a"),
    ("POST", "/search", {}),
    ("POST", "/search", {"query": ""}),
    ("POST", "/search", {"query": " \n"}),
    ("POST", "/search", {"query": None}),
    ("POST", "/search", {"query": 7}),
    ("POST", "/search", {"query": ["a"]}),
    ("POST", "/search", {"query": "\ud800"}),
    ("POST", "/search", {"query": "a\0b"}),
    ("POST", "/search", {"query": "a" * 20_000}),
    ("POST", "/search", {"query": "a", "more": 1}),
    ("POST", "/search", {"query": "a", "\ud800": 1}),
    ("POST", "/search", {"query": "a", "top_k": 0}),
    ("POST", "/search", {"query": "a", "top_k": 101}),
    ("POST", "/search", {"query": "a", "top_k": "ten"}),
    ("POST", "/search", {"query": "a", "top_k": True}),
    ("POST", "/search", {"query": "a", "top_k": 1.5}),
    ("POST", "/search", {"query": "a", "knowledge_bases": []}),
    ("POST", "/search", {"query": "a", "knowledge_bases": "all"}),
    ("POST", "/search", {"query": "a", "knowledge_bases": [1]}),
    ("POST", "/search", {"query": "a", "knowledge_bases": ["x"] * 1000}),
    ("POST", "/search", {"query": "a", "knowledge_bases": ["x" * 1000]}),
    ("POST", "/search", {"query": "a", "filters": []}),
    ("POST", "/search", {"query": "a", "filters": {"colour": "red"}}),
    ("POST", "/search", {"query": "a", "filters": {"tags": ["a\0"]}}),
    ("POST", "/search", {"query": "a", "filters": {"created_after": "yesterday"}}),
    ("POST", "/ask", {"question": ""}),
    ("POST", "/ask", {"question": "a", "stream": "yes"}),
    ("POST", "/ask", {"question": "a", "knowledge_bases": []}),
    ("POST", "/ask", {"question": "a", "model": "another"}),
    ("POST", "/ask", {"question": "a", "tools": []}),
    ("POST", "/knowledge-bases", {}),
    ("POST", "/knowledge-bases", {"name": ""}),
    ("POST", "/knowledge-bases", {"name": "a" * 200}),
    ("POST", "/knowledge-bases", {"name": "a", "sensitivity": "secret"}),
    ("POST", "/knowledge-bases", {"name": "a", "grounding": "loose"}),
    ("POST", "/knowledge-bases", {"name": "a", "slug": "Not a slug"}),
    ("POST", "/knowledge-bases", {"name": "a", "official": True}),
    ("PATCH", "/knowledge-bases/{base}", {"name": None}),
    ("PATCH", "/knowledge-bases/{base}", {"slug": "mine"}),
    ("PUT", "/knowledge-bases/{base}/grants", {"subject": "everyone", "role": "reader"}),
    ("PUT", "/knowledge-bases/{base}/grants", [{"subject": "everyone"}]),
    ("PUT", "/knowledge-bases/{base}/grants", [{"subject": "everyone", "role": "owner"}]),
    ("PUT", "/knowledge-bases/{base}/grants", [{"subject": "nobody", "role": "reader"}]),
    ("PUT", "/knowledge-bases/{base}/grants", [{"subject": f"user:{ABSENT}", "role": "reader"}]),
    ("PUT", "/knowledge-bases/{base}/grants", [{"subject": "user:", "role": "reader"}]),
    ("PATCH", "/documents/{document}", {"title": ""}),
    ("PATCH", "/documents/{document}", {"title": None}),
    ("PATCH", "/documents/{document}", {"title": "a" * 501}),
    ("PATCH", "/documents/{document}", {"metadata": []}),
    ("PATCH", "/documents/{document}", {"metadata": {"a": "\ud800"}}),
    ("PATCH", "/documents/{document}", {"metadata": {"a\0": 1}}),
    ("PATCH", "/documents/{document}", {"metadata": {"a": "b" * 70_000}}),
    ("PATCH", "/documents/{document}", {"metadata": {"tags": "red"}}),
    ("PATCH", "/documents/{document}", {"metadata": {"tags": [1]}}),
    ("PATCH", "/documents/{document}", {"readers": ["nobody"]}),
    ("PATCH", "/documents/{document}", {"readers": "everyone"}),
    ("PATCH", "/documents/{document}", {"owner": ABSENT}),
    ("PATCH", "/documents/{document}", {"owner": "x"}),
    ("PATCH", "/documents/{document}", {"review_by": "soon"}),
    ("PATCH", "/documents/{document}", {"review_by": "2026-02-30"}),
    ("PATCH", "/documents/{document}", {"status": "ready"}),
]


@pytest.mark.parametrize(("method", "path", "body"), INVALID)
def test_invalid_fields_are_422(
    mia: Caller, base: KnowledgeBase, document: Document, parts: Engine, method: str, path: str, body: Any
) -> None:
    response = mia.send(method, path.format(base=base.id, document=document.id), body)
    assert_problem(response, 422, "invalid")


def test_invalid_fields_are_named_and_values_are_not_repeated(mia: Caller) -> None:
    secret = "swordfish"
    response = mia.post("/search", {"query": "a", "top_k": secret, "filters": {"tags": secret}})
    body = assert_problem(response, 422, "invalid")
    assert {tuple(error["loc"]) for error in body["errors"]} == {
        ("body", "top_k"),
        ("body", "filters", "tags"),
    }
    assert secret not in response.content.decode()


def test_deep_json_is_refused(mia: Caller, document: Document) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"a": deep}
    assert_problem(mia.patch(f"/documents/{document.id}", {"metadata": deep}), 422, "invalid")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=-1", "limit=many", "limit=1e3", "limit=", "cursor=nonsense",
        "cursor=%00", "cursor=" + "a" * 300, "cursor=bnVsbA", "cursor=WzEsMl0", "cursor=e30",
        "cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAiXQ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/knowledge-bases", "/jobs", "/conversations"])
def test_invalid_paging_returns_422(mia: Caller, path: str, query: str) -> None:
    assert_problem(mia.get(f"{path}?{query}"), 422, "invalid")


@pytest.mark.parametrize("query", ["status=done", "q=" + "a" * 300, "q=%00", "tag=%00"])
def test_invalid_list_filters_return_422(mia: Caller, base: KnowledgeBase, query: str) -> None:
    assert_problem(mia.get(f"/knowledge-bases/{base.id}/documents?{query}"), 422, "invalid")


def test_too_many_query_fields_are_400(mia: Caller) -> None:
    query = "&".join(f"a{number}=1" for number in range(2000))
    assert_problem(mia.get(f"/knowledge-bases?{query}"), 400, "malformed")


def test_wrong_host_returns_a_problem_document(db: None) -> None:
    assert_problem(Client().get("/api/v1/me", headers={"Host": "evil.example"}), 400, "malformed")
