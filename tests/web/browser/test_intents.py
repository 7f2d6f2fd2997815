"""Messages that ask for documents, with the packaged models, at a desk and on a phone."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.conftest import WIDE

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
PHONE = ViewportSize(width=360, height=740)
SLOW = 120_000  # milliseconds: answering on a busy machine


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, sign_in: SignIn) -> Page:
    page = sign_in(viewport=request.param)
    page.goto("/?kb=cairn-help")
    return page


def ask(page: Page, question: str) -> None:
    """Ask, and wait for the answer as the server renders it."""
    turns = page.locator(".turn").count()
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_have_count(turns + 1, timeout=SLOW)
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible(timeout=SLOW)


def test_documents_are_listed_found_summarised_and_compared(page: Page) -> None:
    answer = page.locator("[data-answer]").last
    ask(page, "Which documents do you have?")
    expect(answer).to_contain_text("You can read 3 documents:")
    expect(answer.locator(".verdict")).to_have_text("3 documents shown")
    documents = answer.get_by_role("navigation", name="Documents")
    expect(documents.get_by_role("link")).to_have_count(3)

    ask(page, "Find the document called Upload documents")
    expect(answer).to_contain_text("This document matches “Upload documents”:")
    expect(documents.get_by_role("link")).to_have_attribute("href", re.compile("^/library/documents/"))

    ask(page, "Summarise it")
    expect(answer).to_contain_text("Summary of “Upload documents”, section by section:")
    expect(answer.locator("blockquote").first).to_be_visible()
    expect(answer.locator(".verdict")).to_contain_text("Quoted from")
    answer.locator("button.cite").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Upload documents")
    page.keyboard.press("Escape")

    ask(page, "Compare exporting a conversation with uploading a folder")
    expect(answer.locator("th")).to_have_text(["exporting a conversation", "uploading a folder"])
    expect(answer.locator("td").first).to_contain_text("Conversations:")
    overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(overflow)
