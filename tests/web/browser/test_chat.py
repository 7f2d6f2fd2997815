"""Conversations with versions, drafts and answers that outlive their page, at a desk and on a phone."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, ViewportSize, expect

from tests.servers import Server
from tests.web.browser.conftest import WIDE

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
PHONE = ViewportSize(width=360, height=740)
SLOW = 120_000  # milliseconds: answering on a busy machine
QUESTION = "Who can see my conversations?"
CHANGED = "How do I rate an answer?"


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, sign_in: SignIn) -> Page:
    page = sign_in(viewport=request.param)
    page.goto("/?kb=cairn-help")
    return page


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def answered(page: Page, turns: int = 1) -> None:
    expect(page.locator(".verdict")).to_have_count(turns, timeout=SLOW)
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible(timeout=SLOW)


def test_answer_is_regenerated_and_its_question_edited(page: Page) -> None:
    ask(page, QUESTION)
    answered(page)
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator(".turn")).to_have_count(1)
    answered(page)
    versions = page.get_by_role("group", name="Versions of this question and answer")
    expect(versions).to_contain_text("2 of 2")
    ask(page, CHANGED)
    answered(page, 2)

    versions.get_by_role("button", name="Previous version").press("Enter")
    expect(versions).to_contain_text("1 of 2")
    expect(page.locator(".turn")).to_have_count(1)
    expect(versions.get_by_role("button", name="Next version")).to_be_focused()
    page.reload()
    expect(versions).to_contain_text("1 of 2")
    versions.get_by_role("button", name="Next version").click()
    expect(page.locator(".turn")).to_have_count(2)

    page.locator(".turn").first.hover()
    page.get_by_role("button", name="Edit question").first.click()
    field = page.get_by_label("Edit question", exact=True).and_(page.locator("textarea"))
    expect(field).to_have_value(QUESTION)
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(page.get_by_role("button", name="Edit question").first).to_be_focused()
    page.keyboard.press("Enter")
    field.fill(CHANGED)
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(1)
    answered(page)
    expect(page.locator(".turn .question")).to_have_text(CHANGED)
    expect(page.locator("#conversation-title")).to_have_text(CHANGED)
    expect(page).to_have_title(f"{CHANGED} · Cairn")
    expect(versions).to_contain_text("3 of 3")

    page.get_by_role("button", name="Not helpful").click()
    form = page.get_by_role("form", name="What was wrong?")
    expect(form.get_by_label("It should be in the documents, but isn’t")).to_be_focused()
    form.get_by_label("It’s out of date").check()
    form.get_by_label("What would the right answer be?").fill("With stars.")
    form.get_by_role("button", name="Send").click()
    expect(form).to_have_count(0)
    page.reload()
    thumb = page.get_by_role("button", name="Not helpful")
    expect(thumb).to_have_attribute("aria-pressed", "true")
    thumb.click()
    expect(form.get_by_label("It’s out of date")).to_be_checked()
    expect(form.get_by_label("What would the right answer be?")).to_have_value("With stars.")
    form.get_by_role("button", name="Remove rating").click()
    expect(thumb).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_answer_is_exported_from_its_menu(page: Page) -> None:
    ask(page, QUESTION)
    answered(page)
    menu = page.get_by_role("button", name="Export answer")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Export as PDF")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".pdf")
    assert download.value.path().read_bytes().startswith(b"%PDF-")
    menu.click()
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()


def test_answer_is_shared_from_its_button(page: Page) -> None:
    ask(page, QUESTION)
    answered(page)
    button = page.get_by_role("button", name="Share answer")
    button.press("Enter")
    dialog = page.get_by_role("dialog", name="Share answer")
    dialog.get_by_role("button", name="Create link").click()
    link = dialog.get_by_label("Link", exact=True)
    expect(link).to_have_value(re.compile("/shared/"))
    address = link.input_value()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    page.goto(address)
    expect(page.locator("main").get_by_role("heading", name=QUESTION).first).to_be_visible()


def test_answer_is_shown_after_leaving_and_returning(page: Page) -> None:
    ask(page, QUESTION)
    page.locator(".turn[data-message]").wait_for()
    page.goto("/")
    page.go_back()
    answered(page)
    expect(page.locator(".answer-body")).to_have_text(re.compile(r"\w+"))


def test_draft_question_survives_a_reload(page: Page, cairn_server: Server) -> None:
    field = page.get_by_label("Your question")
    field.fill("Half a ques")
    page.reload()
    expect(field).to_have_value("Half a ques")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("tion")
    expect(field).to_have_value("Half a ques\ntion")
    field.fill("a" * 10_001)
    expect(page.locator("#too-long")).to_contain_text("Too long by 1 character (limit 10,000).")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(0)

    field.fill("Half a question")
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    expect(page.locator(".failure")).to_contain_text("You’ve been signed out.")
    page.get_by_role("link", name="Sign in").click()
    again(page, cairn_server)
    expect(field).to_have_value("Half a question")

    field.fill("Half a question, and more")
    page.context.clear_cookies()
    page.reload()
    again(page, cairn_server)
    expect(field).to_have_value("Half a question, and more")


def again(page: Page, server: Server) -> None:
    """Signs in and is back on the page that was left."""
    page.get_by_label("User name").fill(server.username)
    page.get_by_label("Password").fill(server.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/?kb=cairn-help")


def test_enter_before_the_script_loads_submits_the_question(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/chat*.js", lambda route: waiting.append(route))
    page.goto("/?kb=cairn-help", wait_until="commit")
    ask(page, QUESTION)
    expect(page.get_by_label("Your question")).to_have_value(QUESTION)
    for route in waiting:
        route.continue_()
    answered(page)
    expect(page.locator(".question").first).to_contain_text(QUESTION)


def test_last_question_is_edited_from_an_empty_field(page: Page) -> None:
    ask(page, QUESTION)
    answered(page)
    page.get_by_label("Your question").press("ArrowUp")
    expect(page.locator(".question-form textarea")).to_be_focused()
    expect(page.locator(".question-form textarea")).to_have_value(QUESTION)
    page.keyboard.press("Escape")
    page.get_by_label("Your question").fill("typed")
    page.get_by_label("Your question").press("ArrowUp")
    expect(page.locator(".question-form")).to_have_count(0)


def test_focus_moves_between_ask_and_stop_buttons(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/api/v1/ask", lambda route: waiting.append(route))
    page.get_by_label("Your question").fill(QUESTION)
    send = page.get_by_role("button", name="Ask", exact=True)
    send.press("Enter")
    stop = page.get_by_role("button", name="Stop generating")
    expect(stop).to_be_focused()
    waiting.pop().fulfill(status=500)
    expect(send).to_be_focused()
