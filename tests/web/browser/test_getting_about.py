"""The command palette, the shortcuts and their overview."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.test_journey import PHONE, ask, create_knowledge_base, markdown, uploaded

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
WIDE = ViewportSize(width=1280, height=800)


def test_palette_opens_a_document_and_returns_to_the_conversation(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown(f"rules-{uuid4().hex[:6]}.md"))
    question = f"What of {uuid4().hex[:8]}?"
    ask(page, slug, question)
    field = page.get_by_label("Your question")
    field.fill("half a question")
    page.keyboard.press("Control+k")
    finder = page.get_by_role("combobox", name="Find a conversation, document, knowledge base or page")
    expect(finder).to_be_focused()
    expect(page.get_by_role("option", name="Library")).to_be_visible()
    finder.press_sequentially("leave rules")
    document = page.get_by_role("option", name="Leave rules").first
    expect(document).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(finder).to_be_hidden()
    expect(field).to_be_focused()
    expect(field).to_have_value("half a question")

    page.keyboard.press("Control+k")
    finder.fill(question)
    expect(page.get_by_role("option")).to_have_count(1)
    finder.fill("adm")
    expect(page.get_by_role("option", name=question)).to_have_count(0)
    finder.fill("leave rules")
    expect(document).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/library/documents/*")


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_arrow_keys_select_palette_results(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    page.goto("/account")
    if viewport is PHONE:
        page.get_by_role("button", name="Open menu").click()
    page.get_by_role("button", name="Go to…").click()
    options = page.locator("#palette").get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    chosen = options.last.get_attribute("id")
    field = page.locator("#palette").get_by_role("combobox")
    expect(field).to_have_attribute("aria-activedescendant", chosen or "")
    box = page.locator("#palette").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    field.fill("library")
    expect(options.first).to_have_text("Library")  # conversations may mention it, too
    page.keyboard.press("Enter")
    page.wait_for_url("**/library")


def test_keys_help_outside_of_fields_only(sign_in: SignIn) -> None:
    page = sign_in()
    page.goto("/library")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("?")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Search conversations", exact=True).press_sequentially("a/b?")
    expect(page.get_by_label("Search conversations", exact=True)).to_have_value("a/b?")
    expect(sheet).to_be_hidden()
    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_label("Search conversations", exact=True)).to_have_value("a/b?")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("/")
    expect(sheet).to_be_visible()
    page.keyboard.press("Control+Shift+O")
    expect(sheet).to_be_visible()
    sheet.get_by_role("button", name="Close").click()
    page.keyboard.press("Control+Shift+O")
    page.wait_for_url("**/")
    page.get_by_role("button", name="admin").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(sheet).to_contain_text("New chat")


def test_mac_has_its_own_shortcuts(sign_in: SignIn) -> None:
    page = sign_in()
    page.add_init_script(
        "Object.defineProperty(navigator, 'platform', { get: () => 'MacIntel' });"
        "Object.defineProperty(navigator, 'userAgentData', { get: () => undefined });"
    )
    page.goto("/library")
    expect(page.get_by_role("button", name="Go to…")).to_contain_text("⌘")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("Meta+k")
    expect(page.locator("#palette")).to_be_visible()
