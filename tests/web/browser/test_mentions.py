"""Limiting a conversation, or one question, to some knowledge bases."""

from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.servers import Server
from tests.web.browser.conftest import WIDE

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
PHONE = ViewportSize(width=360, height=740)
NUMBERS = count(1)


@pytest.fixture
def bases(cairn_server: Server) -> dict[str, str]:
    """Return the ids of two empty knowledge bases by name, which come first: the start page has room for
    a few."""
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    number = next(NUMBERS)
    with httpx.Client(base_url=f"{cairn_server.url}/api/v1", headers=headers, timeout=60) as api:
        names = [f"0 Zebra {kind} {number}" for kind in ("grazing", "stripes")]
        return {name: api.post("/knowledge-bases", json={"name": name}).json()["id"] for name in names}


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, sign_in: SignIn, bases: dict[str, str]) -> Page:
    page = sign_in(viewport=request.param)
    page.goto("/")
    return page


def asked(page: Page, act: Callable[[], Any]) -> list[str] | None:
    with page.expect_request("**/api/v1/ask") as sent:
        act()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible(timeout=120_000)
    chosen: list[str] | None = sent.value.post_data_json.get("knowledge_bases")
    return chosen


def send(page: Page, question: str = "What do zebras eat?") -> list[str] | None:
    page.get_by_label("Your question").press_sequentially(question)
    return asked(page, lambda: page.get_by_label("Your question").press("Enter"))


def test_chips_limit_a_conversation_and_mentions_one_question(page: Page, bases: dict[str, str]) -> None:
    (grazing, first), (stripes, second) = bases.items()
    chips = page.get_by_role("list", name="Search in")
    picked = page.locator("#picked button")
    chip = chips.get_by_role("button", name=grazing)
    expect(chip).to_have_attribute("aria-pressed", "false")
    for name in bases:
        chips.get_by_role("button", name=name).press("Enter")
    expect(picked).to_have_count(2)
    expect(page.locator("#picker-label")).to_have_text("2 knowledge bases")
    picked.filter(has_text=stripes).click()
    expect(chips.get_by_role("button", name=stripes)).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(chip).to_have_attribute("aria-pressed", "true")
    assert send(page) == [first]

    field = page.get_by_label("Your question")
    field.press_sequentially(f"Ask @{stripes.removeprefix('0 Zebra ')}")
    listed = page.get_by_role("listbox", name="Knowledge bases")
    expect(listed.get_by_role("option", name=stripes)).to_have_attribute("aria-selected", "true")
    active = field.get_attribute("aria-activedescendant")
    expect(listed.get_by_role("option", name=stripes)).to_have_id(active or "none")
    field.press("Enter")
    expect(listed).to_be_hidden()
    expect(field).to_have_value("Ask ")
    expect(picked).to_contain_text([f"@{stripes}"])
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    assert send(page, "again") == [second]
    expect(picked).to_contain_text([grazing])
    again = page.locator(".turn").last.get_by_role("button", name="Answer again")
    assert asked(page, again.click) == [second]
    assert send(page) == [first]


def test_mention_list_is_navigated_and_closed_by_keyboard(page: Page, bases: dict[str, str]) -> None:
    field = page.get_by_label("Your question")
    listed = page.get_by_role("listbox", name="Knowledge bases")
    field.press_sequentially("@zebra")
    expect(listed.get_by_role("option")).not_to_have_count(0)
    options = listed.get_by_role("option")
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    field.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    field.press("ArrowUp")
    field.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    expect(page.locator("#mentions-count")).to_contain_text("Use the arrow keys and Enter")
    field.press("Escape")
    expect(listed).to_be_hidden()
    field.press_sequentially("s or mail@zebra")
    page.wait_for_timeout(400)
    expect(listed).to_be_hidden()
    field.fill("")
    field.press_sequentially("In @zebra nowhere")
    page.wait_for_timeout(400)
    expect(listed).to_be_hidden()
    field.fill("")
    field.press_sequentially("@zebra")
    options.first.click()
    expect(page.locator("#picked button")).to_have_count(1)
    expect(field).to_be_focused()
    page.locator("#picked button").click()
    expect(page.locator("#picked button")).to_have_count(0)
