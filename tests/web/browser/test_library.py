"""Finding documents, and asking about just some of them, in a real browser."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from ingestion.parse.page_images import THUMBNAIL_WIDTH
from tests.web.browser.conftest import WIDE
from tests.web.browser.test_journey import (
    FACT,
    PHONE,
    SLOW,
    create_knowledge_base,
    markdown,
    pdf,
    upload,
)

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
SIZES = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
QUESTION = "How many hours of annual leave may employees donate?"


def filled(page: Page) -> str:
    slug = create_knowledge_base(page)
    upload(page, slug, markdown(f"{slug}.md"), markdown(f"other-{slug}.md"))
    expect(page.locator("#documents .tag-ready")).to_have_count(2, timeout=SLOW)
    return slug


def photographed(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@SIZES
def test_library_document_is_found_opened_reviewed_and_asked(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    slug = filled(page)
    page.goto("/library")
    page.get_by_label("Search documents").fill(f"{slug}.md")
    rows = page.locator(".found-row")
    expect(rows).to_have_count(2)
    expect(page.locator("#shelf")).to_be_hidden()
    page.get_by_label("Type", exact=True).select_option("pdf")
    expect(page.get_by_text("No matching documents")).to_be_visible()
    page.get_by_label("Type", exact=True).select_option("")
    expect(rows).to_have_count(2)
    photographed(page, f"library-{viewport['width']}")
    page.reload()
    expect(rows).to_have_count(2)

    page.get_by_label("Search documents").fill("hours of leave donated to a colleague")
    page.get_by_label("Knowledge base", exact=True).select_option(slug)
    page.get_by_role("button", name="Search full text").click()
    expect(page.locator(".found-passages").first).to_contain_text(FACT[:40])
    photographed(page, f"inside-{viewport['width']}")
    page.get_by_label("Search documents").fill("leave donated to a coleague")
    expect(page.get_by_text("Searched for “colleague” instead of “coleague”.")).to_be_visible()
    page.get_by_role("button", name="Search as typed").click()
    expect(page.get_by_label("Search documents")).to_have_value('leave donated to a "coleague"')
    expect(page.get_by_text("instead of “coleague”")).to_be_hidden()
    page.get_by_role("button", name="Search full text").click()
    page.get_by_label("Search documents").fill("")
    rows.first.get_by_role("link").first.click()
    page.wait_for_url("**/library/documents/*")

    page.get_by_role("button", name="Change").click()
    photographed(page, f"document-{viewport['width']}")
    page.get_by_label("Owner", exact=True).fill("nobody of that name")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("nobody of that name")
    page.get_by_label("Owner", exact=True).fill("admin")
    page.get_by_label("Review by", exact=True).fill("2020-01-31")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".care")).to_contain_text("Review overdue since")
    page.get_by_role("button", name="Mark as reviewed").click()
    page.get_by_role("dialog").get_by_role("button", name="Mark as reviewed").click()
    expect(page.locator(".care")).to_contain_text("Last reviewed")
    expect(page.locator(".care")).not_to_contain_text("overdue")

    page.get_by_role("link", name="Ask about this document").click()
    chip = page.locator("#picked button")
    expect(chip).to_contain_text("Only:")
    photographed(page, f"ask-{viewport['width']}")
    with page.expect_request("**/api/v1/ask") as asked:
        page.get_by_label("Your question").fill(QUESTION)
        page.get_by_role("button", name="Ask", exact=True).click()
    [only] = asked.value.post_data_json["filters"]["document_ids"]
    expect(page.locator(".answer-foot")).to_be_visible(timeout=SLOW)
    for link in page.locator("[data-passages] a").all():
        assert only in str(link.get_attribute("href"))
    page.reload()
    expect(chip).to_contain_text("Only: ")
    expect(chip).not_to_contain_text("…")
    chip.click()
    expect(chip).to_have_count(0)
    page.reload()
    expect(page.locator(".turn")).to_have_count(1)
    expect(chip).to_have_count(0)


@SIZES
def test_library_filters_are_selected_shown_and_sent(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    slug = filled(page)
    page.evaluate(
        """async (title) => {
            const token = document.querySelector('meta[name="csrf-token"]').content;
            const found = await (await fetch(`/api/v1/documents?q=${title}`)).json();
            await fetch(`/api/v1/documents/${found.items[0].id}`, {
                method: "PATCH",
                headers: { "Content-Type": "application/json", "X-CSRFToken": token },
                body: JSON.stringify({ metadata: { tags: [`of ${title}`] } }),
            });
        }""",
        slug,
    )
    page.goto("/")
    page.locator("#picker-label").click()
    page.get_by_label("Specific documents").fill(f"other-{slug}")
    page.locator("#pick-found button").click()
    page.get_by_label("Tag", exact=True).select_option(f"of {slug}")
    page.get_by_label("Updated", exact=True).select_option("30")
    photographed(page, f"filters-{viewport['width']}")
    page.keyboard.press("Escape")
    chips = page.locator("#picked button")
    expect(chips).to_have_count(3)
    page.get_by_role("button", name=f"Tag: of {slug}").click()
    expect(chips).to_have_count(2)
    page.reload()
    expect(chips).to_have_count(2)
    page.route("**/api/v1/ask", lambda route: route.abort())
    with page.expect_request("**/api/v1/ask") as asked:
        page.get_by_label("Your question").fill("Why?")
        page.get_by_label("Your question").press("Enter")
    filters = asked.value.post_data_json["filters"]
    assert sorted(filters) == ["document_ids", "updated_after"]
    page.goto("/")
    expect(chips).to_have_count(0)


@SIZES
def test_pdf_pages_are_browsed(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    slug = create_knowledge_base(page)
    upload(page, slug, pdf(f"{slug}.pdf"))
    expect(page.locator("#documents .tag-ready")).to_have_count(1, timeout=SLOW)
    page.locator("#documents a.title").click()
    thumbnails = page.get_by_role("list", name="Pages").get_by_role("button")
    expect(thumbnails).to_have_count(2)
    small = thumbnails.first.locator("img")
    width = "image => image.complete && image.naturalWidth"
    appear = time.monotonic() + SLOW / 1000
    while not small.evaluate(width):
        assert time.monotonic() < appear
        time.sleep(0.2)
    assert abs(small.evaluate(width) - THUMBNAIL_WIDTH) <= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    photographed(page, f"pages-{viewport['width']}")

    page.get_by_role("button", name="Open page 1").press("Enter")
    viewer = page.get_by_role("dialog", name="Page 1 of 2")
    expect(viewer.get_by_role("img", name="Page 1 of")).to_be_visible(timeout=SLOW)
    page.keyboard.press("ArrowRight")
    viewer = page.get_by_role("dialog", name="Page 2 of 2")
    expect(viewer.get_by_role("img", name="Page 2 of")).to_be_visible(timeout=SLOW)
    page.keyboard.press("ArrowRight")
    expect(viewer).to_be_visible()
    expect(viewer.get_by_role("button", name="Next page")).to_have_attribute("aria-disabled", "true")
    photographed(page, f"page-{viewport['width']}")
    viewer.get_by_role("button", name="Previous page").click()
    expect(page.get_by_role("dialog", name="Page 1 of 2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Open page 1")).to_be_focused()

    page.route("**/pages/2.png*", lambda route: route.abort())
    page.reload()
    page.get_by_role("button", name="Open page 2").click()
    missing = page.get_by_role("dialog").get_by_text("Couldn’t load the image of this page.")
    expect(missing).to_be_visible()
