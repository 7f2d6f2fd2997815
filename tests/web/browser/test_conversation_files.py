"""Files attached to a question in the browser: by button and paste, with the keyboard, on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.servers import Server
from tests.web.browser.conftest import WIDE
from tests.web.browser.test_interruptions import (  # noqa: F401 - fixtures
    Model,
    cairn_server,
    model,
    settings,
    well,
)
from tests.web.browser.test_journey import PHONE

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
PASTE = """({name, text}) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { type: "text/markdown" }));
  const event = new ClipboardEvent("paste", { clipboardData: data, cancelable: true });
  document.getElementById("question").dispatchEvent(event);
}"""
DROP = """({name, text}) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name, { type: "text/markdown" }));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
    document.getElementById("main").dispatchEvent(event);
  }
}"""


def file(name: str, text: str) -> FilePayload:
    return FilePayload(name=name, mimeType="text/markdown", buffer=text.encode())


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_attached_files_are_answered_from(
    sign_in: SignIn,
    cairn_server: Server,  # noqa: F811
    viewport: dict[str, int],
) -> None:
    page = sign_in(viewport=viewport)
    page.goto("/")
    page.locator("#attach-files").set_input_files(
        [file("meyer.md", "# Zebra\n\nThe zebra of Meyer has 17 stripes."), file("empty.md", "")]
    )
    files = page.get_by_role("list", name="Attached files").get_by_role("listitem")
    expect(files).to_have_count(2)
    field = page.get_by_label("Your question")
    field.fill("Summarise meyer.md")
    field.press("Enter")  # it waits for the files
    expect(page.get_by_role("status").filter(has_text="empty.md can’t be used").first).to_be_attached()
    expect(files.filter(has_text="empty.md")).to_have_attribute("data-state", "failed")
    expect(field).to_have_value("Summarise meyer.md")
    remove = page.get_by_role("button", name="Remove empty.md")
    remove.focus()
    page.keyboard.press("Enter")
    expect(files).to_have_count(1)
    expect(page.get_by_role("button", name="Remove meyer.md")).to_be_focused()
    page.evaluate(PASTE, {"name": "pasted.md", "text": "The otter has 3 stones."})
    page.evaluate(DROP, {"name": "dropped.md", "text": "The heron has 2 legs."})
    expect(files).to_have_count(3)
    for name in ("meyer.md", "pasted.md", "dropped.md"):
        expect(files.filter(has_text=name)).to_have_attribute("data-state", "ready")
    page.reload()  # the files are kept
    expect(files).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    field.fill("Summarise meyer.md")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer-body").last).to_contain_text("17 stripes")
    expect(page.get_by_role("heading", name="Summarise meyer.md", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="meyer.md", exact=True).first).to_be_visible()
