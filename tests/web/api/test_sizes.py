"""Requests with too much of something, and headers that claim what is not so."""

import json
from typing import Any

import pytest
from django.test import Client

from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from tests.web.api.conftest import Caller, assert_problem, streamed

MANY = 20_000


def upload_form(caller: Caller, base: KnowledgeBase, body: bytes) -> Any:
    return caller.client.generic(
        "POST",
        f"/api/v1/knowledge-bases/{base.id}/documents",
        body,
        content_type="multipart/form-data; boundary=cut",
        headers={"Authorization": f"Bearer {caller.key}"},
    )


def part(disposition: str, content: bytes = b"x") -> bytes:
    return (
        b"--cut\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
    )


def test_twenty_thousand_fields_of_json(mia: Caller) -> None:
    response = mia.post("/search", {"query": "leave", **{f"field{n}": n for n in range(MANY)}})
    problem = assert_problem(response, 422, "invalid")
    assert len(response.content) < 10_000
    assert problem["errors"]


def test_overlong_field_name_is_rejected(mia: Caller) -> None:
    response = mia.post("/search", {"query": "leave", "x" * 1_000_000: 1})
    assert_problem(response, 422, "invalid")
    assert len(response.content) < 1000


def test_twenty_thousand_faults_in_a_list(mia: Caller) -> None:
    response = mia.post("/search", {"query": "leave", "knowledge_bases": list(range(MANY))})
    assert response.status_code == 422
    assert len(response.content) < 10_000


def test_twenty_thousand_fields_of_a_form(mia: Caller, base: KnowledgeBase) -> None:
    fields = b"".join(part(f'name="field{n}"') for n in range(MANY))
    file = part('name="file"; filename="a.md"')
    assert_problem(upload_form(mia, base, fields + file + b"--cut--\r\n"), 400, "malformed")
    assert not Document.objects.exists()


def test_two_thousand_files_in_a_form_are_rejected(mia: Caller, base: KnowledgeBase) -> None:
    files = b"".join(part(f'name="file{n}"; filename="{n}.md"') for n in range(2000))
    assert_problem(upload_form(mia, base, files + b"--cut--\r\n"), 400, "malformed")


def test_twenty_thousand_fields_on_a_page(mia: Caller) -> None:
    client = Client()
    client.force_login(mia.user)
    assert client.post("/account/keys", {f"field{n}": n for n in range(MANY)}).status_code == 400


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "1" * 5000])
def test_out_of_range_numbers_are_rejected(
    mia: Caller, base: KnowledgeBase, document: Document, number: str
) -> None:
    body = f'{{"metadata": {{"number": {number}}}}}'
    response = mia.client.generic(
        "PATCH",
        f"/api/v1/documents/{document.id}",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {mia.key}"},
    )
    assert_problem(response, 400, "malformed")
    file = part('name="file"; filename="a.md"') + part('name="metadata"', body.encode())
    assert_problem(upload_form(mia, base, file + b"--cut--\r\n"), 422, "invalid")


@pytest.mark.parametrize("depth", [40, 5_000, 200_000])
def test_forms_with_deep_json(mia: Caller, base: KnowledgeBase, depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    file = part('name="file"; filename="a.md"') + part('name="metadata"', nested)
    assert_problem(upload_form(mia, base, file + b"--cut--\r\n"), 422, "invalid")


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nX-Evil: 1.md",
        'a"\r\nSet-Cookie: evil=1\r\n\r\n<script>.md',
        "a%0d%0aX-Evil: 1.md",
        "a\nX-Evil: 1.md",
        "a\u2028X-Evil: 1.md",
        "\r\n",
    ],
)
def test_line_breaks_in_names_write_no_headers(mia: Caller, base: KnowledgeBase, name: str) -> None:
    """Neither in what comes in, nor, where the name is taken, in what goes out."""
    file = part(f'name="file"; filename="{name}"', b"# Leave")
    response = upload_form(mia, base, file + b"--cut--\r\n")
    assert response.status_code in {202, 400, 422}, response.content
    assert "X-Evil" not in response
    assert not response.cookies
    for document in Document.objects.all():
        DocumentVersion.objects.filter(document=document).update(
            state=VersionState.READY, media_type="text/markdown"
        )
        document.active_version = document.latest_version
        document.save()
        assert not any(ord(char) < 32 for char in document.title + document.source_uri)
        content = mia.get(f"/documents/{document.id}/content")
        assert content.status_code == 200
        assert streamed(content).endswith(b"# Leave")
        assert content["Content-Disposition"].startswith("attachment")
        assert "evil" not in {each.lower() for each in content.headers} | set(content.cookies)
        assert "X-Evil" not in content


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", ""])
def test_foreign_host_header_is_rejected(mia: Caller, host: str) -> None:
    response = mia.get("/me", Host=host)
    assert response.status_code == 400


def test_forwarded_host_headers_are_ignored(mia: Caller) -> None:
    client = Client()
    claimed = {
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
        "X-Original-URL": "/admin",
    }
    response = client.get("/library", headers=claimed)
    assert response.status_code == 302
    assert response["Location"].startswith("/login")
    assert "evil.example" not in response["Location"]


def test_forwarded_address_is_ignored_for_metrics(mia: Caller) -> None:
    """`/metrics` is for this machine."""
    claimed = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics", headers=claimed).status_code == 401


def test_deep_json_on_every_route_is_read_in_vain(mia: Caller) -> None:
    for depth in (1000, 100_000):
        body = "[" * depth + "]" * depth
        response = mia.client.generic(
            "POST",
            "/api/v1/search",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {mia.key}"},
        )
        assert response.status_code in {400, 422}
        assert json.loads(response.content)["code"] in {"malformed", "invalid"}
