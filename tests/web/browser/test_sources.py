"""An admin connects a folder of a real WebDAV server with the guided dialog, and follows its first sync."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.ingestion.sources.webdav_server import PASSWORD, USER, WebdavServer
from tests.web.browser.test_evaluation import fits

pytestmark = [pytest.mark.browser, pytest.mark.models]
SIZES = {"desktop": ViewportSize(width=1280, height=800), "phone": ViewportSize(width=360, height=740)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebdavServer]:
    for name in ("parking.md", "canteen.md"):
        (tmp_path / name).write_text(
            f"# {name.removesuffix('.md').title()}\n\nIt is open from 7 to 19 on weekdays."
        )
    with WebdavServer(tmp_path) as started:
        yield started


def step(page: Page) -> str:
    return page.locator(".step-marks [aria-current=step]").inner_text()


def choose_base(page: Page) -> None:
    """Choose the first one, in the list or in the searchable picker that it becomes where there are many."""
    if page.locator("select#source-base").count():
        page.locator("select#source-base").select_option(index=1)
        return
    field = page.get_by_role("combobox", name="Knowledge base")
    field.click()
    expect(page.get_by_role("listbox", name="Knowledge base").get_by_role("option").first).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")


def focus(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


@pytest.mark.parametrize("size", SIZES)
def test_source_dialog_ends_with_synced_documents(
    sign_in: Callable[..., Page], server: WebdavServer, size: str
) -> None:
    page = sign_in(viewport=SIZES[size])
    page.goto("/admin/sources")
    page.get_by_role("link", name="Add source").click()
    kind = page.get_by_role("link", name="WebDAV folder")
    name, description = (kind.locator(each).bounding_box() or {} for each in ("h2", "p"))
    assert description["x"] == name["x"]
    assert description["y"] >= name["y"] + name["height"]
    kind.click()
    expect(page.locator("#announce")).to_have_text("Step 1 of 5: Address and credentials")
    next_step = page.get_by_role("button", name="Next", exact=True)

    next_step.click()
    assert focus(page) == "source-name-of"
    expect(page.locator("#source-name-of-missing")).to_have_text("Fill in this field.")
    page.get_by_label("Name", exact=True).fill(f"Cloud {size}")
    choose_base(page)
    page.get_by_label("Address of the folder").fill(server.url)
    page.get_by_label("User name", exact=True).fill(USER)
    page.get_by_label("Password", exact=True).fill("wrong")
    next_step.click()
    assert step(page) == "Test"
    assert focus(page) == "step-test"
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#source-test")).to_contain_text("The test stopped at a problem.")
    page.get_by_role("button", name="Back", exact=True).click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password", exact=True).press("Enter")
    assert step(page) == "Test"
    expect(page.locator("#source-test")).to_be_empty()  # another password was tested
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#source-test")).to_contain_text("Everything works, but read the warning.")
    expect(page.locator("#source-test")).to_contain_text("The connection isn’t encrypted.")
    assert fits(page)

    next_step.click()
    assert step(page) == "Preview"  # nothing can be selected in this kind
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#source-preview")).to_contain_text("2 documents")
    next_step.click()
    assert page.get_by_label("Managers only").is_checked()
    next_step.click()
    expect(next_step).to_be_hidden()
    assert fits(page)
    page.get_by_role("button", name="Start syncing").click()

    page.wait_for_url("**/admin/sources/*-*")
    expect(page.get_by_role("heading", name=f"Cloud {size}")).to_be_visible()
    expect(page.locator("#task-content .tag-ready")).to_be_visible(timeout=60_000)
    expect(page.locator("#task-content")).to_contain_text("2 documents found")
    expect(page.locator("#of-state option[value=synced]")).to_have_text("Up to date (2)")
    expect(page.locator("#source-items")).to_contain_text("Every document could be fetched.")
    page.goto(f"{page.url}?state=synced")
    expect(page.get_by_role("link", name="parking.md")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator("#source-progress")).to_contain_text("Paused: documents stay as they are")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Delete source…").click()
    page.get_by_label("Delete documents").check()
    page.locator("#delete-source").get_by_role("button", name="Delete source").click()
    page.wait_for_url("**/admin/sources")
    expect(page.get_by_role("link", name=f"Cloud {size}")).to_have_count(0)


def test_server_error_opens_its_form_step(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.goto("/admin/sources/new/webdav")
    page.get_by_label("Name", exact=True).fill("Cloud")
    choose_base(page)
    page.get_by_label("Address of the folder").fill("gopher://cloud")
    for _ in range(4):
        page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Start syncing").click()
    expect(page.locator("#source-url-problem")).to_be_visible()
    assert focus(page) == "source-url"
    assert step(page) == "Address and credentials"
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved yet.")
