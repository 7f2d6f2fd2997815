"""A question that no document answers, from the refusal to the verified answer."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.web.browser.conftest import WIDE
from tests.web.browser.test_journey import SLOW, ask, create_knowledge_base, markdown, uploaded

pytestmark = [pytest.mark.browser, pytest.mark.models]

PHONE = ViewportSize(width=390, height=800)
QUESTION = "Can I bring my parrot into the reading room?"
ANSWER = "Yes, on Fridays, if everybody in the room agrees."
MARK = "Verified by admin for the question in its title, valid until"
SIMILAR = "Can I bring my goldfish into the reading room?"
LOOKS = 150


def appears(page: Page, path: str, wanted: Callable[[], Locator]) -> Locator:
    """Reload the page until what a worker creates appears."""
    for _ in range(LOOKS):
        page.goto(path)
        if wanted().count():
            break
        page.wait_for_timeout(400)
    expect(wanted()).to_have_count(1)
    return wanted()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_refused_question_gets_a_verified_answer(
    sign_in: Callable[..., Page], viewport: ViewportSize
) -> None:
    page = sign_in(viewport=viewport)
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    ask(page, slug, QUESTION)
    passing = page.locator("[data-passing-on]")
    expect(passing).to_contain_text("will see this question anonymously")
    passing.get_by_role("button", name="Don’t share").click()
    expect(passing).to_contain_text("This question isn’t shared with anyone.")
    passing.get_by_role("button", name="Share with owners").click()
    expect(passing).to_contain_text("anonymously")

    listed = page.get_by_role("main").get_by_role("link", name=QUESTION)
    link = appears(page, f"/admin/gaps?kb={slug}", lambda: listed)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    link.click()
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    page.get_by_label("Answer", exact=True).fill(ANSWER)
    page.get_by_role("button", name="Publish answer").click()
    expect(page.get_by_text(re.compile("Verified by admin, valid until"))).to_be_visible(timeout=SLOW)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]

    notice = page.get_by_role("listitem").filter(has_text="can now be answered").filter(has_text=QUESTION)
    unread = lambda: notice.and_(page.locator("[data-unread]"))  # noqa: E731 - looked for again and again
    appears(page, "/notices", unread).get_by_role("button", name="Ask again").click()
    expect(page.get_by_label("Your question")).to_have_value(QUESTION)
    page.get_by_label("Your question").press("Enter")
    expect(page.locator(".verdict")).to_contain_text("Verified answer by admin", timeout=SLOW)
    expect(page.locator(".answer-body")).to_have_text(f"{ANSWER} 1")
    page.locator(".source-document").filter(has_text=MARK).locator(".source").first.click()
    expect(page.locator("#panel-verified")).to_contain_text(MARK)
    page.keyboard.press("Escape")
    page.locator(".answer-body button.cite").first.dispatch_event("pointerover", {"pointerType": "mouse"})
    expect(page.get_by_role("tooltip")).to_contain_text(MARK)
    page.goto("/notices")
    expect(unread()).to_have_count(0)

    ask(page, slug, SIMILAR)
    expect(page.locator(".verdict")).not_to_contain_text("Verified answer")
