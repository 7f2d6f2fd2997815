"""A conversation is shared, opened by another user, and printed."""

import io
import re
from collections.abc import Callable
from uuid import uuid4

import pypdfium2
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.conftest import PASSWORD
from tests.web.browser.test_journey import PHONE, QUESTION, ask, choose, create_knowledge_base, pdf, uploaded

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
WIDE = ViewportSize(width=1280, height=800)


def person(page: Page) -> str:
    name = f"user-{uuid4().hex[:8]}"
    page.goto("/admin/users")
    new = page.get_by_role("region", name="New user")
    new.get_by_label("User name").fill(name)
    new.get_by_label("Password").fill(PASSWORD)
    new.get_by_role("button", name="Create user").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    return name


def printed(page: Page) -> str:
    """Return the printed text, with its lines joined."""
    document = pypdfium2.PdfDocument(io.BytesIO(page.pdf(format="A4")))
    return " ".join(" ".join(sheet.get_textpage().get_text_bounded() for sheet in document).split())


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_conversation_is_shared_read_printed_and_unshared(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    reader = person(page)
    slug = create_knowledge_base(page)
    uploaded(page, slug, pdf())
    ask(page, slug)
    conversation = page.url

    options = page.get_by_role("button", name="Conversation options")
    options.click()
    page.get_by_role("button", name="Share", exact=True).click()
    dialog = page.get_by_role("dialog", name="Share conversation")
    expect(dialog).to_contain_text("see your questions as you typed them")
    dialog.get_by_label("Only these people and groups").check()
    dialog.get_by_label("Add people").fill("nobody-of-that-name")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("No matching person or group found.")
    dialog.get_by_label("Add people").fill(reader)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("listitem")).to_contain_text(reader)
    dialog.get_by_role("button", name="Create link").click()
    link = dialog.get_by_label("Link")
    expect(link).to_have_value(re.compile("/shared/"))
    address = link.input_value()
    dialog.get_by_role("button", name="Close").click()
    expect(options).to_be_focused()

    theirs = sign_in(reader, PASSWORD, viewport=viewport)
    theirs.goto(address)
    expect(theirs.get_by_role("heading", name=QUESTION).last).to_be_visible()
    expect(theirs.get_by_text("You don’t have access to this answer’s documents.")).to_be_visible()
    assert "42 hours" not in theirs.content()
    assert "42 hours" not in printed(theirs)

    page.goto(f"/admin/knowledge-bases/{slug}")
    choose(page, "Give access to", reader)
    page.get_by_role("button", name="Save access").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The change applies immediately.")).to_be_visible()
    theirs.reload()
    expect(theirs.locator(".answer-body")).to_contain_text("42")
    theirs.locator(".answer-body button.cite").first.click()
    expect(theirs.locator("#panel")).to_contain_text("Page 2")
    theirs.keyboard.press("Escape")
    for text in (printed(theirs), printed_of(page, conversation)):
        assert QUESTION in text
        assert re.search(r"42 hours.*\[ ?1 ?\]", text), text
        assert re.search(r"leave.*\b1 page 2", text, re.IGNORECASE), text
        for left_out in (
            "New chat",
            "Go to",
            "Ask your documents",
            "Search conversations",
            "Enter to send",
            "Ask next",
        ):
            assert left_out not in text

    theirs.mouse.move(0, 0)  # off the number, whose card would cover the button
    theirs.get_by_role("button", name="Continue this conversation").click()
    theirs.wait_for_url("**/conversations/*")
    expect(theirs.locator(".answer-body")).to_contain_text("42")

    page.goto(conversation)
    options.click()
    page.get_by_role("button", name="Share", exact=True).click()
    dialog.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_text("Sharing stopped.")).to_be_visible()
    response = theirs.goto(address)
    assert response is not None
    assert response.status == 404


def printed_of(page: Page, address: str) -> str:
    page.goto(address)
    return printed(page)


def test_conversation_is_saved_as_a_file(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    ask(page, slug, "Is anything in here?")
    page.get_by_role("button", name="Conversation options").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as Markdown").click()
    assert download.value.suggested_filename == "is-anything-in-here.md"
    assert "## Is anything in here?" in download.value.path().read_text(encoding="utf-8")
