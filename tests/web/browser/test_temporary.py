"""A temporary chat in the browser: switched on, asked, and erased by leaving the page."""

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.servers import Server
from tests.web.browser.conftest import WIDE
from tests.web.browser.test_interruptions import (  # noqa: F401 - fixtures
    QUESTION,
    Model,
    answered,
    ask,
    cairn_server,
    model,
    settings,
    well,
)
from tests.web.browser.test_journey import PHONE

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]


def conversations(server: Server) -> int:
    path = server.data_dir / "cairn.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM retrieval_conversation").fetchone()[0])


def assert_erased(server: Server) -> None:
    deadline = time.monotonic() + 20
    while conversations(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert conversations(server) == 0


def switch_on(page: Page) -> None:
    switch = page.get_by_role("switch", name="Temporary chat")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_be_checked()
    expect(page.get_by_text("at the latest 4 hours after your last question")).to_be_visible()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_temporary_chat_is_erased_on_leaving_its_page(
    sign_in: SignIn,
    cairn_server: Server,  # noqa: F811
    viewport: dict[str, int],
) -> None:
    page = sign_in(viewport=viewport)
    page.goto("/")
    switch_on(page)
    ask(page)
    answered(page, "Supported by 1 passage")
    assert urlsplit(page.url).path == "/"
    assert conversations(cairn_server) == 1
    expect(page.locator("#conversations")).not_to_contain_text(QUESTION)
    expect(page.get_by_role("button", name="Share answer")).to_have_count(0)
    expect(page.get_by_role("button", name="Conversation options")).to_be_hidden()
    expect(page.locator("#temporary-note")).to_be_visible()

    page.goto("/library")
    assert_erased(cairn_server)
    page.go_back()
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    expect(page.get_by_role("switch", name="Temporary chat")).not_to_be_checked()
    expect(page.get_by_label("Your question")).to_have_value("")


def test_leaving_during_an_answer_erases_a_temporary_chat(
    sign_in: SignIn,
    cairn_server: Server,  # noqa: F811
    model: Model,  # noqa: F811
) -> None:
    page = sign_in()
    model.does = model.stops_in_the_middle
    page.goto("/")
    switch_on(page)
    ask(page)
    expect(page.locator("[data-live]")).to_contain_text("42 hours")
    page.reload()
    assert_erased(cairn_server)
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()


def test_disabled_temporary_mode_gives_an_ordinary_chat(
    sign_in: SignIn,
    cairn_server: Server,  # noqa: F811
) -> None:
    page = sign_in()
    page.goto("/")
    switch_on(page)
    page.keyboard.press("Space")
    expect(page.locator("#temporary-note")).to_be_hidden()
    ask(page)
    answered(page, "Supported by 1 passage")
    expect(page).to_have_url(re.compile("/conversations/"))
    page.reload()
    answered(page, "Supported by 1 passage")
    page.get_by_role("button", name="Conversation options").click()
    page.get_by_role("button", name="Delete conversation").click()
    assert_erased(cairn_server)
