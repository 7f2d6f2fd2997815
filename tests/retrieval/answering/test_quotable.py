"""Headings, captions, labels and navigation are never quoted as an answer."""

from dataclasses import replace

import pytest

from cairn.library.links import Link
from retrieval.answering.generation.extractive import extract_blocks
from retrieval.types import Hit
from tests.fakes import FakeEmbedder
from tests.retrieval.answering.builders import make_hit

FACT = "Travel requests are approved by the manager of the cost centre within a week."
QUESTION = "Who approves travel requests of the cost centre?"


def quotes(hit: Hit) -> list[str]:
    return [extract.quote for extract in extract_blocks(QUESTION, [hit], FakeEmbedder(), "en")]


def linked(text: str, *names: str) -> Hit:
    """A hit in which the names are links."""
    links = tuple(
        Link(text.index(name), text.index(name) + len(name), "https://example.org") for name in names
    )
    return replace(make_hit(text), links=links)


@pytest.mark.parametrize(
    "line",
    [
        "Travel requests, cost centre approvals",
        "Approval of cost centre travel requests",
        "Figure 3: Who approves travel requests of a cost centre",
        "Tabelle 2.1 – Travel requests approved by cost centre",
        "Image: travel requests approved by the manager of a cost centre",
        "Screenshot of the page on which a manager of a cost centre approves travel requests",
        "Travel requests · Cost centre managers · Approvals · All travel forms · Contact",
        "[^3]: Approval of cost centre travel requests",
        "Travel requests | Cost centre managers | Approvals",
        "Travel requests | Cost centre managers | Approvals\n\nCost centre | Imprint | Travel requests",
    ],
)
def test_line_that_only_names_a_topic_is_not_quoted(line: str) -> None:
    assert quotes(make_hit(line)) == []
    assert quotes(make_hit(f"{line}\n\n{FACT}")) == [FACT]


@pytest.mark.parametrize(
    "line",
    [
        "Approver of travel requests: the manager of the cost centre",
        "Cost centre travel requests approved within 7 days",
        "Figure 3 shows that travel requests are approved by the manager of the cost centre.",
        "The manager of the cost centre approves all travel requests within the same week",
        "Travel requests are approved by Dana.",
        "Photo of the cost centre stamp is required for travel requests to be approved.",
        "Travel → Approval → Payment: the cost centre manager approves travel requests",
        "Travel requests | Approved by\nCost centre | Manager",
    ],
)
def test_line_that_states_something_is_an_answer(line: str) -> None:
    assert quotes(make_hit(line)) == [line]


def test_navigation_is_not_quoted_but_a_list_with_a_lead_in_is() -> None:
    names = ("Travel requests of the cost centre", "Approvals of travel requests", "Cost centre managers")
    items = "\n".join(f"- {name}" for name in names)
    assert quotes(linked(items, *names)) == []
    led = f"These pages say who approves travel requests of the cost centre:\n{items}"
    assert quotes(linked(led, *names)) == [led]
    assert quotes(make_hit(items)) == [items], "a list without links"


def test_link_table_without_a_header_is_navigation() -> None:
    names = ("Travel requests", "Cost centre approvals", "Travel managers", "Approved requests")
    rows = f"{names[0]} | {names[1]}\n{names[2]} | {names[3]}"
    assert quotes(linked(rows, *names)) == []
    headed = f"Form | Who approves it\n{rows}"
    assert quotes(linked(headed, *names)) == [headed]
