"""The pages of security promises name tests that exist, and cover each of the OWASP risks."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
PAGES = sorted((TESTS.parent / "docs" / "understand" / "security").glob("*.md"))
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for page in PAGES
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]
RISKS = {f"LLM{number:02}" for number in range(1, 11)}


def names_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_documented_promises_name_existing_tests(row: list[str]) -> None:
    assert len(row) == 4, row
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[2])
    assert named, row[2]
    for path, name in named:
        assert (TESTS / path).is_file(), path
        assert name in names_in(TESTS / path)


def test_every_risk_of_language_models_has_a_promise() -> None:
    assert set(re.findall(r"LLM\d\d", " ".join(row[3] for row in ROWS))) == RISKS
