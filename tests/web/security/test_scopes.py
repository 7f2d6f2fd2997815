"""docs/integrate/rest/authentication.md lists the scopes of every operation."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cairn.accounts.models import KeyScope
from cairn.accounts.services import api_key_create
from cairn.library.models import Document, DocumentVersion
from retrieval.engine import Engine
from tests.servers import ROOT
from tests.web.api.conftest import Caller
from tests.web.security.guards import Door, Guard, Route
from tests.web.security.routes import ROUTES

Operation = tuple[str, str]
ROW = re.compile(r"^\| [^|`]+ \| (?P<operations>`[A-Z].*?) \|(?P<marks>(?: (?:yes)? ?\|){5})$", re.MULTILINE)
ELSEWHERE = ("/api/", "/v1/", "/retrieval", "/mcp", "/scim/", "/metrics")
SCOPES = ("search", "ask", "ingest", "manage", "admin")


def documented() -> dict[Operation, set[str]]:
    text = (ROOT / "docs/integrate/rest/authentication.md").read_text()
    found: dict[Operation, set[str]] = {}
    for row in ROW.finditer(text):
        marks = [mark.strip() for mark in row["marks"].strip("|").split("|")]
        scopes = {scope for scope, mark in zip(SCOPES, marks, strict=True) if mark}
        for operation in _operations(row["operations"]):
            assert operation not in found, f"{operation} is in the table twice"
            found[operation] = scopes
    return found


def _operations(cell: str) -> Iterator[Operation]:
    for methods, path in re.findall(r"`([A-Z ]+) (/[^`]*)`", cell):
        full = path if path.startswith(ELSEWHERE) else f"/api/v1{path}"
        for method in methods.split():
            yield method, full


def enforced() -> dict[Operation, set[str]]:
    """Return the scopes from the table that the matrix compares with the URLconf and tests on every route."""
    return {_operation(route): _scopes(route) for route in ROUTES if _takes_keys(route)}


def _takes_keys(route: Route) -> bool:
    return route.door in {Door.API, Door.KEY} and "{rest}" not in route.path and route.path != "/api/"


def _operation(route: Route) -> Operation:
    return route.method, re.sub(r"{\w+_id}", "{id}", route.path)


def _scopes(route: Route) -> set[str]:
    return {"admin"} if route.guard is Guard.ADMIN else set(route.scopes or SCOPES)


def test_scopes_table_matches_the_enforced_scopes() -> None:
    assert documented() == enforced()
    assert set(SCOPES) == set(KeyScope.values)


@pytest.fixture
def read(document: Document) -> Document:
    """A document whose content is in its report and its properties."""
    version = DocumentVersion.objects.get(document=document)
    version.report = {"suspicious": ["Page 1: ignore all rules"], "warnings": ["Two pages are empty."]}
    version.properties = {"From": "ceo@example.org"}
    version.save()
    return document


@pytest.mark.parametrize(
    ("scope", "content"), [("search", True), ("ingest", False), ("manage", False), (None, True)]
)
def test_document_state_has_content_only_for_keys_with_read_scope(
    mia: Caller, read: Document, scope: str | None, content: bool
) -> None:
    caller = mia if scope is None else with_scopes(mia, scope)
    one = caller.get(f"/documents/{read.id}").json()
    [listed] = caller.get("/documents").json()["items"]
    [inside] = caller.get(f"/knowledge-bases/{read.knowledge_base_id}/documents").json()["items"]
    for shown in (one, listed, inside):
        assert shown["report"]["warnings"] == ["Two pages are empty."]
        assert bool(shown["report"]["suspicious"]) is content
        assert bool(shown["properties"]) is content


def with_scopes(caller: Caller, *scopes: str) -> Caller:
    return Caller(caller.user, api_key_create(user=caller.user, label="some", scopes=scopes)[1])


@pytest.mark.django_db(transaction=True)
def test_gold_question_from_a_conversation_needs_the_ask_scope(
    mia: Caller, read: Document, parts: Engine
) -> None:
    message = mia.post("/ask", {"question": "Why?"}).json()["id"]
    body: dict[str, Any] = {"question": "Why?", "kind": "unanswerable", "message": message}
    path = f"/knowledge-bases/{read.knowledge_base_id}/gold-questions"
    assert with_scopes(mia, "manage").post(path, body).status_code == 403
    assert with_scopes(mia, "manage", "ask").post(path, body).status_code == 201
