"""The OpenAPI description covers every operation as documented."""

import re
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.web.api.conftest import Caller
from web.api.api import api

CONTRACT = {
    ("get", "/api/v1/me"), ("get", "/api/v1/users"), ("post", "/api/v1/users"),
    ("patch", "/api/v1/users/{}"), ("delete", "/api/v1/users/{}"), ("get", "/api/v1/groups"),
    ("post", "/api/v1/groups"), ("patch", "/api/v1/groups/{}"), ("delete", "/api/v1/groups/{}"),
    ("get", "/api/v1/knowledge-bases"), ("post", "/api/v1/knowledge-bases"),
    ("get", "/api/v1/knowledge-bases/{}"), ("patch", "/api/v1/knowledge-bases/{}"),
    ("delete", "/api/v1/knowledge-bases/{}"), ("get", "/api/v1/knowledge-bases/{}/grants"),
    ("put", "/api/v1/knowledge-bases/{}/grants"), ("post", "/api/v1/knowledge-bases/{}/documents"),
    ("get", "/api/v1/knowledge-bases/{}/documents"), ("get", "/api/v1/documents/{}"),
    ("patch", "/api/v1/documents/{}"), ("delete", "/api/v1/documents/{}"), ("get", "/api/v1/receipts/{}"),
    ("get", "/api/v1/documents/{}/content"), ("get", "/api/v1/documents/{}/rendition"),
    ("get", "/api/v1/documents/{}/pages/{}.png"), ("get", "/api/v1/jobs/{}"), ("get", "/api/v1/jobs"),
    ("post", "/api/v1/jobs/{}/retry"), ("post", "/api/v1/jobs/{}/cancel"), ("get", "/api/v1/jobs/{}/events"),
    ("post", "/api/v1/search"), ("post", "/api/v1/ask"), ("get", "/api/v1/conversations"),
    ("get", "/api/v1/conversations/{}"), ("patch", "/api/v1/conversations/{}"),
    ("delete", "/api/v1/conversations/{}"), ("post", "/api/v1/messages/{}/feedback"),
    ("post", "/api/v1/messages/{}/stop"),
}  # fmt: skip


@pytest.fixture
def described(mia: Caller) -> dict[str, Any]:
    response = mia.client.get("/api/openapi.json", headers={"Authorization": f"Bearer {mia.key}"})
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, re.sub(r"{\w+}", "{}", path)): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_every_row_of_the_contract_is_described(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    assert operations(described).keys() >= CONTRACT


def test_every_operation_documents_its_scopes_and_problems(described: dict[str, Any]) -> None:
    for operation in operations(described).values():
        assert [next(iter(each)) for each in operation["security"]] == ["BearerKey", "BrowserSession"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
    asking = operations(described)["post", "/api/v1/ask"]
    assert asking["security"][0] == {"BearerKey": ["ask"]}
    assert asking["responses"]["200"]["content"].keys() == {"application/json", "text/event-stream"}


def test_every_schema_reference_resolves(described: dict[str, Any]) -> None:
    wanted = set(re.findall(r"#/components/schemas/([\w-]+)", str(described)))
    assert wanted
    assert wanted <= described["components"]["schemas"].keys()


def test_docs_page_loads_only_own_files(mia: Caller) -> None:
    mia.client.force_login(mia.user)
    response = mia.client.get("/api/docs")
    assert response.status_code == 200
    page = response.content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    assert all(source.startswith("/static/") for source in sources), sources
    assert {PurePosixPath(source).name for source in sources} >= {"swagger-ui-bundle.js", "swagger-ui.css"}
    assert "'unsafe-inline'" not in response["Content-Security-Policy"].split("script-src")[1].split(";")[0]


def test_openapi_schema_is_cached() -> None:
    first = api.get_openapi_schema(path_prefix="/api/")
    assert api.get_openapi_schema(path_prefix="/api/") is first
    assert api.get_openapi_schema(path_prefix="/elsewhere/") is not first
