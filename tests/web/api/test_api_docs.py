"""The description is readable: every operation has a summary and a description, every code its meaning."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cairn.errors
from cairn.errors import CairnError, DocumentRejected
from tests.servers import ROOT
from web.api.api import api
from web.api.framework.error_codes import ERROR_CODES, codes_table

CODE = ("platform", "retrieval", "ingestion", "web")
SCOPES = re.compile(r"(A key needs the scope .*|Any key will do)\.$")


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    described = api.get_openapi_schema(path_prefix="/api/")
    return {
        f"{method} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_has_its_own_wording_as_summary(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        words = operation["operationId"].replace("_", " ")
        summary = operation["summary"]
        assert summary.casefold() != words or " " not in words, f"{name}: made from the function's name"
        assert summary[0].isupper(), name
        assert not summary.endswith("."), name


def test_summaries_are_different(operations: dict[str, dict[str, Any]]) -> None:
    summaries = [operation["summary"] for operation in operations.values()]
    assert {each for each in summaries if summaries.count(each) > 1} == set()


def test_every_operation_is_described_in_sentences(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        own = SCOPES.sub("", operation["description"]).strip()
        assert own.endswith((".", "`)")), f"{name}: {own!r}"


def _codes_of_classes(kind: type[CairnError] = CairnError) -> Iterator[tuple[str, int]]:
    if kind is not DocumentRejected and kind.__module__.startswith(
        ("cairn.", "ingestion.", "retrieval.", "web.api.", "web.http.")
    ):
        yield kind.code, kind.status
    for each in kind.__subclasses__():  # a rejection's code is that of a failed document
        yield from _codes_of_classes(each)


def _codes_raised() -> Iterator[tuple[str, int]]:
    """Codes that are given where an error is raised."""
    paths = (path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    for path in sorted(path for path in paths if not {"protocols", "identity"} & set(path.parts)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                yield from _code_of(node.exc)


def _code_of(call: ast.Call) -> Iterator[tuple[str, int]]:
    kind = getattr(cairn.errors, ast.unparse(call.func), None)
    for keyword in call.keywords:
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and kind is not None:
            yield str(keyword.value.value), kind.status


def test_every_error_code_has_a_status_and_a_meaning() -> None:
    found = {*_codes_of_classes(), *_codes_raised()}
    known = {(code, status) for code, (status, _meaning) in ERROR_CODES.items()}
    assert found - known == set()
    assert known - found == set()


def test_error_codes_match_the_documentation(operations: dict[str, dict[str, Any]]) -> None:
    page = Path(ROOT, "docs", "integrate", "rest", "errors.md").read_text(encoding="utf-8")
    assert codes_table() in page
    assert all(
        codes_table() in operation["responses"]["default"]["description"] for operation in operations.values()
    )
