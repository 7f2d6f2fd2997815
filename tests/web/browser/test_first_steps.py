"""A newcomer's way through Cairn: with few clicks, or with the keyboard alone."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.servers import Server
from tests.tour.looking import DESKTOP, PHONE
from tests.web.browser.test_journey import QUESTION, SLOW, create_knowledge_base, markdown, uploaded

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
MOST_CLICKS: Final = 5
TABS: Final = 80
COUNT: Final = """() => addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks ?? 0) + 1;
}, true)"""
FOCUSED: Final = """() => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const box = node.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const around = node.closest(".composer-box");
  const frame = around && getComputedStyle(around).boxShadow !== "none";
  return {
    body: node === document.body,
    heading: node.matches("[tabindex='-1']"),
    shown: (ring || frame) && box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    what: node.outerHTML.slice(0, 120),
  };
}"""


@pytest.fixture(scope="module")
def shelf(browser: Any, cairn_server: Server) -> str:
    """A knowledge base that answers the question."""
    context = browser.new_context(base_url=cairn_server.url, viewport=DESKTOP)
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("User name").fill(cairn_server.username)
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    context.close()
    return slug


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_first_feedback_takes_at_most_five_clicks(
    open_page: Callable[..., Page], cairn_server: Server, shelf: str, viewport: ViewportSize
) -> None:
    page = open_page(viewport=viewport)
    page.add_init_script(f"({COUNT})()")
    page.goto(f"/?kb={shelf}")
    page.get_by_label("User name").fill(cairn_server.username)
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Your question").fill(QUESTION)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator(".answer-foot .verdict").wait_for(timeout=SLOW)
    page.locator(".answer-body button.cite").first.click()
    expect(page.locator("#panel mark").first).to_contain_text("42 hours")
    page.get_by_role("button", name="Close source").click()
    page.get_by_role("button", name="Helpful", exact=True).click()
    expect(page.get_by_role("button", name="Helpful", exact=True)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("Number(sessionStorage.clicks)") <= MOST_CLICKS


def focused(page: Page) -> None:
    """Focus is somewhere, and can be seen. A title that was focused for readers of screens needs no ring."""
    found = page.evaluate(FOCUSED)
    assert not found["body"], "the focus is lost"
    assert found["shown"] or found["heading"], f"the focus cannot be seen on {found['what']}"


def tab_to(page: Page, selector: str) -> None:
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            focused(page)
            return
        if page.evaluate("document.activeElement !== document.body"):
            focused(page)
    raise AssertionError(f"{selector} cannot be reached with Tab")


def test_first_steps_work_with_the_keyboard(
    open_page: Callable[..., Page], cairn_server: Server, shelf: str
) -> None:
    page = open_page()
    page.goto(f"/?kb={shelf}")
    expect(page.locator("#id_username")).to_be_focused()
    page.keyboard.type(cairn_server.username)
    tab_to(page, "#id_password")
    page.keyboard.type(cairn_server.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?kb=*")
    expect(page.locator("#question")).to_be_focused()
    focused(page)
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator(".answer-foot .verdict").wait_for(timeout=SLOW)
    focused(page)

    page.locator("#thread").focus()  # as a click next to the answer would
    tab_to(page, ".answer-body button.cite")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    expect(panel.locator("mark").first).to_be_visible()
    focused(page)
    if panel.locator("[data-next]").is_enabled():
        tab_to(page, "#panel [data-next]")
        page.keyboard.press("Enter")
        focused(page)
    tab_to(page, "#panel [data-close]")
    page.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    expect(page.locator(".answer-body button.cite").first).to_be_focused()
    tab_to(page, "[data-rate=up]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rate=up]").first).to_have_attribute("aria-pressed", "true")
    focused(page)


def test_focus_returns_from_menus_and_dialogs(sign_in: SignIn, shelf: str) -> None:
    page = sign_in()
    page.goto(f"/?kb={shelf}")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator(".answer-foot .verdict").wait_for(timeout=SLOW)
    for opener in (page.get_by_role("button", name="Conversation options"), page.locator(".rail-user")):
        opener.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        expect(opener).to_be_focused()
    for item in ("Rename", "Share"):
        page.get_by_role("button", name="Conversation options").press("Enter")
        page.get_by_role("button", name=item, exact=True).press("Enter")
        expect(page.locator("dialog[open]")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        expect(page.get_by_role("button", name="Conversation options")).to_be_focused()


def test_answer_is_announced_once_instead_of_per_token(sign_in: SignIn, shelf: str) -> None:
    page = sign_in()
    page.goto(f"/?kb={shelf}")
    page.evaluate("""() => {
      window.said = [];
      window.deltas = 0;
      const live = new Set([...document.querySelectorAll("[aria-live], [role=status], [role=alert]")]);
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const node = target.nodeType === 1 ? target : target.parentElement;
          if (node?.closest("[data-live]")) window.deltas += 1;
          const region = node?.closest("[aria-live], [role=status], [role=alert]");
          if (region && live.has(region)) window.said.push(region.textContent.trim());
        }
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator(".answer-foot .verdict").wait_for(timeout=SLOW)
    expect(page.locator("#announce")).to_contain_text("Answer ready.")
    announced, deltas = page.evaluate("[window.said, window.deltas]")
    assert 1 <= len(announced) <= 8, announced
    assert deltas >= 1
    assert not any("42 hours" in text for text in announced), announced
