"""The list of conversations, by mouse, by keyboard and on a phone."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.test_journey import PHONE, ask, create_knowledge_base

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
WIDE = ViewportSize(width=1280, height=800)


def asked(page: Page) -> str:
    """A conversation of its own name."""
    title = f"Is shelf {uuid4().hex[:8]} empty?"
    ask(page, create_knowledge_base(page), title)
    return title


def listed(page: Page) -> None:
    """Open the list if it is behind a button."""
    opener = page.get_by_role("button", name="Open menu")
    if opener.is_visible():
        opener.click()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_sidebar_entry_is_pinned_renamed_and_deleted_from_its_menu(
    sign_in: SignIn, viewport: ViewportSize
) -> None:
    page = sign_in(viewport=viewport, touch=viewport is PHONE)
    title = asked(page)
    page.goto("/library")
    listed(page)
    entries = page.locator("#conversations")
    options = page.get_by_role("button", name=f"“{title}”: options")
    options.click()
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(entries.get_by_role("heading").first).to_have_text("Pinned")
    expect(entries.locator("ul").first).to_contain_text(title)

    options.click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title", exact=True).fill(f"{title} No")
    page.keyboard.press("Enter")
    expect(entries.get_by_role("link", name=f"{title} No")).to_be_visible()

    renamed = page.get_by_role("button", name=f"“{title} No”: options")
    expect(renamed).to_be_focused()
    renamed.click()
    page.get_by_role("button", name="Unpin").click()
    expect(renamed).to_have_attribute("aria-expanded", "false")
    renamed.click()
    page.get_by_role("button", name="Delete conversation").click()
    expect(entries.get_by_role("link", name=title)).to_have_count(0)
    expect(page).to_have_url(re.compile("/library$"))
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(entries.get_by_role("link", name=f"{title} No")).to_be_visible()
    expect(page.get_by_text("Conversation restored.")).to_be_visible()


def test_deleting_the_open_conversation_is_undone_from_the_next_page(sign_in: SignIn) -> None:
    page = sign_in()
    title = asked(page)
    address = page.url
    page.get_by_role("button", name="Conversation options").click()
    page.get_by_role("button", name="Delete conversation").click()
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    expect(page.locator("#conversations").get_by_role("link", name=title)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(address)
    expect(page.locator(".turn .question")).to_have_text(title)
    page.reload()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_conversation_list_is_navigated_by_keyboard(sign_in: SignIn) -> None:
    page = sign_in()
    title = asked(page)
    page.get_by_label("Search conversations", exact=True).fill(title)
    entries = page.locator("#conversations")
    expect(entries.get_by_role("link")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(entries.get_by_role("link", name=title)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pin", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=f"“{title}”: options")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Search conversations", exact=True)).to_be_focused()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_conversation_folder_is_filled_renamed_and_deleted(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport, touch=viewport is PHONE)
    title = asked(page)
    page.goto("/library")
    listed(page)
    entries, name = page.locator("#conversations"), f"Shelves {uuid4().hex[:8]}"
    page.get_by_role("button", name=f"“{title}”: options").click()
    page.get_by_role("button", name="Move to folder").click()
    page.get_by_label("Or a new folder").fill(name)
    page.keyboard.press("Enter")
    folder = entries.locator("summary", has_text=name)
    expect(folder).to_contain_text("1")
    expect(entries.get_by_role("link", name=title)).to_have_count(0)
    folder.focus()
    page.keyboard.press("Enter")
    expect(entries.get_by_role("link", name=title)).to_be_visible()

    options = page.get_by_role("button", name=f"Folder “{name}”: options")
    options.click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title", exact=True).fill(f"{name} 2")
    page.keyboard.press("Enter")
    expect(entries.locator("summary", has_text=f"{name} 2")).to_be_visible()
    expect(entries.get_by_role("link", name=title)).to_be_visible()  # the folder is still open

    page.get_by_role("button", name=f"Folder “{name} 2”: options").click()
    page.get_by_role("button", name="Delete folder").click()
    page.locator("#confirm").get_by_role("button", name="Delete folder").click()
    expect(entries.locator("summary", has_text=name)).to_have_count(0)
    expect(entries.get_by_role("link", name=title)).to_be_visible()
