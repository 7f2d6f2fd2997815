"""A quoted list has all its items, wherever the passages were cut."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cairn.access.selectors import scope_for
from cairn.library.models import Document
from retrieval.engine import Engine, use
from retrieval.search.hybrid_search import load_passage
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, indexed

pytestmark = pytest.mark.django_db(transaction=True)
LEAD = "Employees can get these kinds of leave:"
KINDS = ("annual leave", "sick leave", "parental leave", "court leave", "military leave", "funeral leave")
QUESTION = "List all kinds of leave that employees can get."


def passage(*kinds: str, lead: str = LEAD) -> str:
    return "\n".join([lead, *(f"- {kind}" for kind in kinds)])


def quoted(caller: Caller) -> dict[str, Any]:
    response = caller.post("/ask", {"question": QUESTION})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    assert answer["mode"] == "extractive", answer
    return answer


def items(answer: dict[str, Any]) -> list[str]:
    return re.findall(r"^> - (.+?)(?: \[\d+\])?$", answer["answer"], re.MULTILINE)


@pytest.fixture
def quotes(parts: Engine) -> Iterator[Engine]:
    """An engine whose chat model generates nothing supported, so that passages are quoted."""
    with use(replace(parts, chat=FakeChat("Bananas are yellow."))) as engine:
        yield engine


def test_list_across_passages_is_quoted_completely_and_in_order(
    mia: Caller, document: Document, quotes: Engine
) -> None:
    before, after = "Leave is approved by the manager.", "Bicycles are parked behind the house."
    first = f"{before}\n\n{passage(*KINDS[:2])}"
    indexed(document, quotes, first, passage(*KINDS[2:4]), passage(*KINDS[4:]), after)
    answer = quoted(mia)
    assert items(answer) == list(KINDS)
    assert answer["answer"].count(LEAD) == 1
    assert [citation["document"] for citation in answer["citations"]] == [str(document.id)] * 3
    assert after not in answer["answer"]


def test_adjacent_list_is_not_merged(mia: Caller, document: Document, quotes: Engine) -> None:
    other = "\n".join(["Bicycles are of these colours:", "- red", "- green"])
    indexed(document, quotes, passage(*KINDS[:3]), other)
    assert items(quoted(mia)) == list(KINDS[:3])


def test_unreadable_passage_is_not_loaded(
    mia: Caller, rob: Caller, document: Document, quotes: Engine
) -> None:
    chunks = indexed(document, quotes, passage(*KINDS[:3]), passage(*KINDS[3:]))
    version = chunks[1].version_id
    assert load_passage(scope_for(mia.principal), version, 1) is not None
    assert load_passage(scope_for(mia.principal), version, 2) is None
    assert load_passage(scope_for(rob.principal), version, 1) is None


def test_answer_omits_footnote_marks_and_nests_list_items(
    mia: Caller, document: Document, quotes: Engine
) -> None:
    steps = (
        "1. Choose a kind of leave[^2].\nannual leave\n2. Employees get leave: ask.\n\n[^2]: See \\[it\\]."
    )
    indexed(document, quotes, steps)
    answer = quoted(mia)
    assert (
        "> 1. Choose a kind of leave.\n>    - annual leave\n> 2. Employees get leave: ask."
        in answer["answer"]
    )
    assert "[^" not in answer["answer"].replace("\\", "")
    assert answer["citations"][0]["quote"] in steps
