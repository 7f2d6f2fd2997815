"""Every code that a document can fail with is explained, on the page and in the documentation."""

from pathlib import Path

import pytest

from cairn.errors import Rejection
from cairn.failures import FAILURES, failure_of

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("code", Rejection)
def test_failure_code_is_explained_and_documented(code: Rejection) -> None:
    assert FAILURES[code].name
    assert FAILURES[code].advice.endswith(".")
    page = (DOCS / "use" / "failed-documents.md").read_text()
    assert f"## {FAILURES[code].name}: `{code}`" in page
    assert f"| `{code}` | {FAILURES[code].name} | {FAILURES[code].retry.value} |" in page


def test_unknown_failure_code_is_shown_as_rejected() -> None:
    assert failure_of("conflict").name == "Rejected"
