"""Cairn in German, and laid out from right to left, in a real browser."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
WIDE = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=780)
SLOW = 120_000  # milliseconds: answering on a busy machine
QUESTION = "How do I upload documents?"
RTL = "document.documentElement.dir = 'rtl'"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def choose(page: Page, label: str, language: str, save: str) -> None:
    page.goto("/account")
    page.get_by_role("combobox", name=label, exact=True).select_option(label=language)
    page.locator("form", has=page.locator("#language")).get_by_role("button", name=save).click()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_asking_in_german(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    choose(page, "Language", "Deutsch", "Save")
    try:
        expect(page.get_by_role("heading", name="Konto", exact=True)).to_be_visible()
        page.goto("/")
        page.get_by_label("Ihre Frage").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".verdict")).to_contain_text(
            re.compile(r"Durch \d+ Textstellen? belegt|Teilweise belegt|Zitiert aus \d+ Textstelle"),
            timeout=SLOW,
        )
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("[data-passages-label]").first).to_contain_text(
            re.compile(r"\d+ Textstellen? in \d+ Dokument(en)? gelesen")
        )
        page.locator("button.cite").first.click()
        expect(page.locator("#panel-count")).to_contain_text(re.compile(r"Quelle 1 von \d+"))
    finally:
        choose(page, "Sprache", "English", "Speichern")
    expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()


def test_sign_in_page_offers_languages(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("/login")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Bei Cairn anmelden")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Sign in to Cairn")).to_be_visible()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_right_to_left_pages_have_no_overflow(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    for path in ("/", "/library", "/library/cairn-help", "/account", "/admin/users", "/admin/ingestion"):
        page.goto(path)
        page.evaluate(RTL)
        assert page.evaluate(TOO_WIDE) <= 0, path
