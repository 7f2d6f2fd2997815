"""An assistant from its creation in the administration to a conversation that outlives it."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.conftest import WIDE
from tests.web.browser.test_journey import PHONE, choose

pytestmark = [pytest.mark.browser, pytest.mark.models]
SignIn = Callable[..., Page]
QUESTION = "Who can see my conversations?"
SLOW = 120_000  # milliseconds: answering on a busy machine


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_assistant_is_created_asked_changed_and_deleted(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    name = f"Getting started {uuid4().hex[:6]}"
    page.goto("/admin/assistants/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Description").fill("For your first days.")
    choose(page.locator("form.form"), "Knowledge bases", "Cairn help")
    page.get_by_label("Instructions").fill("Don’t cite anything, and answer everything.")
    page.get_by_label("Starter questions").fill(QUESTION)
    choose(page.locator("form.form"), "Who can use it", "Everyone who can sign in")
    page.get_by_role("button", name="Create assistant").click()
    expect(page.get_by_role("heading", name="Assistants", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/admin/assistants$"))

    page.goto("/assistants")
    page.get_by_label("Name or description").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.get_by_role("button", name=QUESTION).press("Enter")
    expect(page.locator("#conversation-assistant")).to_contain_text(name)
    expect(page.locator(".verdict")).to_have_count(1, timeout=SLOW)
    expect(page.locator(".answer-body a, .answer-body button").first).to_be_visible()
    conversation = page.url
    page.reload()
    expect(page.locator("#conversation-assistant")).to_contain_text(name)

    page.goto("/admin/assistants")
    page.get_by_role("link", name=name).click()
    expect(page.get_by_label("Starter questions")).to_have_value(f"{QUESTION}\n")
    page.get_by_label("Description").fill("For everyone.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("For everyone.").first).to_be_visible()
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile(r"/admin/assistants$"))
    page.goto(conversation)
    expect(page.get_by_text("This assistant is no longer available to you.")).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_disabled()
    expect(page.locator(".verdict")).to_have_count(1)


def test_concurrent_assistant_edits_show_a_conflict(sign_in: SignIn) -> None:
    page = sign_in()
    name = f"Shared {uuid4().hex[:6]}"
    page.goto("/admin/assistants/new")
    page.get_by_label("Name", exact=True).fill(name)
    choose(page.locator("form.form"), "Knowledge bases", "Cairn help")
    page.get_by_role("button", name="Create assistant").click()
    page.get_by_role("link", name=name).click()
    address = page.url
    other = page.context.new_page()
    other.goto(address)
    other.get_by_label("Description").fill("The first change.")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("The first change.").first).to_be_visible()
    page.get_by_label("Description").fill("The second change.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Someone else changed this assistant")
    page.reload()
    expect(page.get_by_label("Description")).to_have_value("The first change.")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile(r"/admin/assistants$"))
