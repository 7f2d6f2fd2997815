"""Bad input to routes about jobs and imports returns problem documents, never a 500."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from cairn.library.models import Document, KnowledgeBase
from cairn.limits.models import Usage
from ingestion.imports.services import import_open
from ingestion.models import Import, Job
from tests.web.api.conftest import Caller, assert_problem


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


NOBODY = "7d1f6a0c93e84b51a2c4d5e6f7081923"
BAD_CURSORS = [
    "x", "%00", "%ED%A0%80", "é", "=" * 20, "x" * 201, cursor(), cursor("2026-11-25"), cursor(1, 2),
    cursor(None, NOBODY),    cursor("yesterday", NOBODY), cursor("0001-01-01T00:00:00+23:59", NOBODY),
    cursor("9999-12-31T23:59:59-23:59", NOBODY), cursor("2026-11-25T00:00:00+00:00", "x"),
    cursor("2026-11-25T00:00:00+00:00", {}), base64.urlsafe_b64encode(b"9" * 90).decode().rstrip("="),
    base64.urlsafe_b64encode("١٢".encode()).decode().rstrip("="),
]  # fmt: skip
NO_MOMENTS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
"""In UTC, the years are 0 and 10000."""
BAD_LIMITS = ["0", "-1", "201000", "10000000000000000000000", "many", "1.5", ""]


@pytest.fixture
def batch(mia: Caller, base: KnowledgeBase) -> Import:
    return import_open(knowledge_base=base, label="drive", user=mia.user.id)


@pytest.fixture
def lists(base: KnowledgeBase, document: Document, batch: Import) -> list[str]:
    return [
        "/jobs",
        f"/knowledge-bases/{base.id}/documents",
        f"/knowledge-bases/{base.id}/imports",
        f"/knowledge-bases/{base.id}/sources",
        f"/imports/{batch.id}/items",
        f"/documents/{document.id}/chunks",
    ]


@pytest.mark.parametrize("bad", BAD_CURSORS)
def test_invalid_cursor_is_rejected(
    mia: Caller, admin: Caller, lists: list[str], base: KnowledgeBase, bad: str
) -> None:
    for path in lists:
        response = mia.get(f"{path}?cursor={bad}")
        assert_problem(response, 422, "invalid")
    assert_problem(admin.get(f"/knowledge-bases/{base.id}/watches?cursor={bad}"), 422, "invalid")


@pytest.mark.parametrize("bad", NO_MOMENTS)
def test_time_outside_the_utc_range_is_rejected(mia: Caller, admin: Caller, bad: str) -> None:
    assert_problem(mia.get(f"/documents?updated_after={quote(bad)}"), 422, "invalid")
    for path in ("/audit", "/audit/export"):
        for name in ("since", "until"):
            assert_problem(admin.get(f"{path}?{name}={quote(bad)}"), 422, "invalid")
    narrowed = {"filters": {"updated_after": bad}}
    assert_problem(mia.post("/search", {"query": "leave", **narrowed}), 422, "invalid")
    assert_problem(mia.post("/ask", {"question": "Why?", **narrowed}), 422, "invalid")
    assert not Usage.objects.exists()


@pytest.mark.parametrize("first", ["0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T14:00:00+14:00"])
def test_earliest_possible_time_is_accepted(mia: Caller, document: Document, first: str) -> None:
    found = mia.get(f"/documents?updated_after={quote(first)}")
    assert [item["id"] for item in found.json()["items"]] == [str(document.id)]


@pytest.mark.parametrize("bad", BAD_LIMITS)
def test_invalid_limit_is_rejected(mia: Caller, lists: list[str], bad: str) -> None:
    for path in lists:
        assert_problem(mia.get(f"{path}?limit={bad}"), 422, "invalid")


@pytest.mark.parametrize("text", ["%00", "a%00b", "%ED%A0%80", "%FF", "x" * 5000])
def test_invalid_text_in_queries_causes_no_server_error(mia: Caller, lists: list[str], text: str) -> None:
    """Bytes that are no UTF-8 come as replacement characters, and match nothing."""
    names = (
        "import",
        "document",
        "knowledge_base",
        "q",
        "tag",
        "under",
        "parent",
        "stage",
        "code",
        "open",
        "exhausted",
    )
    for path in lists:
        for name in names:
            response = mia.get(f"{path}?{name}={text}")
            assert response.status_code in {200, 422}, (path, name, response.content)


@pytest.mark.parametrize("bad", ["nonsense", "0", "%00", "%2e%2e", "%ED%A0%80", "9" * 400, NOBODY])
def test_invalid_id_returns_404(mia: Caller, admin: Caller, bad: str) -> None:
    shown = ("jobs/{}", "jobs/{}/events", "imports/{}", "imports/{}/items", "imports/{}/events",
             "knowledge-bases/{}/imports", "knowledge-bases/{}/sources")  # fmt: skip
    for path in shown:
        assert_problem(mia.get(f"/{path.format(bad)}"), 404, "not_found")
    for path in (f"/jobs/{bad}/retry", f"/jobs/{bad}/cancel", f"/imports/{bad}/cancel"):
        assert_problem(mia.post(path), 404, "not_found")
    assert_problem(mia.post(f"/imports/{bad}/close", {}), 404, "not_found")
    assert_problem(admin.post(f"/watches/{bad}/scan"), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", '"x"', "{", '{"a": NaN}', '{"code": "\\u0000"}', '{"code": "\\ud800"}',
     '{"\\ud800": 1}',
     '{"jobs": "x"}', '{"jobs": [1]}', '{"code": null, "jobs": {}}', "[" * 5000, '{"import": 7}',
     '{"unchanged": -1}', '{"unchanged": 1e400}', '{"label": "\\u0000"}', '{"label": "x", "files": 10000001}',
     '{"label": "x", "extra": 1}'],
)  # fmt: skip
def test_invalid_body_is_rejected(mia: Caller, base: KnowledgeBase, batch: Import, body: str) -> None:
    codes = {400: "malformed", 422: "invalid"}
    paths = ("/jobs/retry", f"/knowledge-bases/{base.id}/imports", f"/imports/{batch.id}/close")
    for path in paths:
        response = mia.client.generic(
            "POST", f"/api/v1{path}", data=body, content_type="application/json",
            headers={"Authorization": f"Bearer {mia.key}"},
        )  # fmt: skip
        assert response.status_code in codes, (path, response.content)
        assert_problem(response, response.status_code, codes[response.status_code])
    assert Import.objects.count() == 1
    assert not Job.objects.exists()


@pytest.mark.parametrize("tag", ["", '"', "*", '"1", "2"', "W/", "\x7f", "x" * 200, '"9999999999999999999"'])
def test_if_match_without_a_version_is_rejected(mia: Caller, base: KnowledgeBase, tag: str) -> None:
    response = mia.upload(str(base.id), "a.md", b"a", headers={"If-Match": tag})
    assert_problem(response, 412, "precondition_failed")
    assert not Document.objects.exists()


def test_overlong_if_match_is_rejected(mia: Caller, base: KnowledgeBase) -> None:
    response = mia.upload(str(base.id), "a.md", b"a", headers={"If-Match": "x" * 201})
    assert_problem(response, 422, "invalid")


@pytest.mark.parametrize("field", ["title", "source_uri", "metadata", "readers", "import"])
@pytest.mark.parametrize("text", ["\0", "a\0b", "x" * 70_000])
def test_invalid_text_in_form_fields_is_rejected(
    mia: Caller, base: KnowledgeBase, field: str, text: str
) -> None:
    response = mia.upload(str(base.id), "a.md", b"a", **{field: text})
    assert_problem(response, 422, "invalid")
    assert not Document.objects.exists()
