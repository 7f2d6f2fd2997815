"""The overview, the playground and the models, as an administrator uses them on a desktop and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.browser.test_evaluation import fits
from tests.web.browser.test_sources import focus

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


def test_forms_show_errors_at_their_fields_and_confirm_what_was_saved(sign_in: Callable[..., Page]) -> None:
    page = sign_in(viewport=SIZES["phone"])
    page.goto("/admin/usage-policy/new")
    page.get_by_label("Name", exact=True).fill("Salaries")
    page.get_by_label("Decline questions that contain").fill(f"salary\n{'x' * 201}")
    save = page.get_by_role("button", name="Create rule")
    save.click()
    expect(page.locator("#rule-reply-problem")).to_have_text("Fill in this field.")
    page.get_by_label("Reply").fill("Ask HR.")
    save.click()
    expect(page.locator("#rule-phrases-problem")).to_have_text("Entry 2: Use at most 200 characters.")
    expect(page.locator("#rule-phrases")).to_have_attribute(
        "aria-describedby", "phrases-hint rule-phrases-problem"
    )
    expect(page.locator("#rule-reply-problem")).to_have_count(0)
    assert focus(page) == "rule-phrases"
    assert fits(page)

    page.get_by_label("Decline questions that contain").fill("salary")
    save.click()
    expect(page.locator(".toast")).to_have_text("Saved.")
    page.reload()
    expect(page.locator(".toast")).to_have_count(0)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_have_text("Saved.")
    page.get_by_role("button", name="Delete").click()
    page.locator("#confirm [data-yes]").click()
    page.wait_for_url("**/admin/usage-policy")
    expect(page.locator(".toast")).to_have_text("Deleted “Salaries”.")


def test_number_fields_send_only_numbers(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.goto("/admin/models/new")
    for label in ("Name", "Address", "Model"):
        page.get_by_label(label, exact=True).fill("m")
    share = page.get_by_label("Share of questions for shadow runs, in percent")
    share.clear()
    share.press_sequentially("1e")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#model-shadow-problem")).to_have_text("Enter a number.")


def test_prices_have_a_decimal_comma_in_german(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.set_extra_http_headers({"Accept-Language": "de"})
    page.goto("/admin/models/new")
    for field, value in {"name": "comma", "url": "http://127.0.0.1:9/v1", "model": "comma"}.items():
        page.locator(f"#model-{field}").fill(value)
    page.locator("#model-in").fill("0,5")
    page.locator("#model-out").fill("1.000,25")
    page.get_by_role("button", name="Speichern").click()
    page.wait_for_url("**/admin/models/registry/comma")
    expect(page.locator("#model-in")).to_have_value("0,5000")
    expect(page.locator("#model-out")).to_have_value("1000,2500")
    page.get_by_role("button", name="Speichern").click()
    expect(page.locator(".toast")).to_be_visible()
    expect(page.locator("#model-in")).to_have_value("0,5000")
