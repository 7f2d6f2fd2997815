"""The overview, the playground and the models, as an administrator uses them on a desktop and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.test_evaluation import fits

pytestmark = [pytest.mark.browser, pytest.mark.models]
SIZES = {"desktop": ViewportSize(width=1280, height=800), "phone": ViewportSize(width=360, height=740)}


@pytest.mark.parametrize("size", SIZES)
def test_daily_administration_works_in_the_browser(sign_in: Callable[..., Page], size: str) -> None:
    page = sign_in(viewport=SIZES[size])

    def go_to(section: str) -> None:
        if size == "phone":
            page.locator(".sections-open").click()
        page.locator(".sections-list").get_by_role("link", name=section, exact=True).click()
        expect(page.locator(".sections-list a[aria-current]")).to_have_text(section)
        assert fits(page), section

    page.goto("/admin")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_label("Period", exact=True).select_option("7")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/admin?*days=7")
    expect(page.locator(".chart")).to_have_count(6)
    page.locator(".chart-figures summary").last.click()  # documents were read: the sample at least
    expect(page.locator(".chart-figures[open] tbody tr")).to_have_count(7)
    assert fits(page)

    go_to("Playground")
    page.get_by_label("Question", exact=True).fill("How do I upload documents?")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("heading", name="Combined")).to_be_visible()
    expect(page.locator("[aria-labelledby=column-hybrid] li").first).to_be_visible()
    assert fits(page)

    go_to("Models")
