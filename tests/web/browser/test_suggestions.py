"""Example and follow-up questions are clicked, from a greeting to an answer."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.conftest import WIDE

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
PHONE = ViewportSize(width=360, height=740)
SLOW = 120_000  # milliseconds: answering on a busy machine


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_greeting_shows_examples_and_an_answer_follow_ups(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    page.goto("/?kb=cairn-help")
    page.get_by_label("Your question").fill("hi")
    page.keyboard.press("Enter")
    expect(page.locator(".answer-body")).to_contain_text("Hello! What would you like to know?")
    examples = page.get_by_role("region", name="Example questions").get_by_role("button")
    expect(examples).to_have_count(3)
    expect(page.locator(".verdict")).to_have_count(0)

    example = examples.first.inner_text()
    examples.first.press("Enter")
    expect(page.locator(".question").nth(1)).to_have_text(example)
    expect(page.locator(".question").nth(1)).to_be_focused()
    expect(page.get_by_role("region", name="Example questions")).to_have_count(0)
    expect(page.locator(".verdict")).to_have_count(1, timeout=SLOW)
    follow_ups = page.get_by_role("region", name="Follow-up questions").get_by_role("button")
    expect(follow_ups.first).to_be_visible(timeout=SLOW)
    assert 1 <= follow_ups.count() <= 3
    assert example not in follow_ups.all_inner_texts()

    follow_up = follow_ups.first.inner_text()
    follow_ups.first.click()
    expect(page.locator(".question").nth(2)).to_have_text(follow_up)
    expect(page.locator(".verdict")).to_have_count(2, timeout=SLOW)
    expect(page.locator(".verdict").nth(1)).not_to_contain_text("Not found")
    page.reload()
    expect(page.locator(".turn")).to_have_count(3)
    expect(page.locator(".verdict")).to_have_count(2)
    expect(page.get_by_role("region", name="Example questions")).to_have_count(0)
