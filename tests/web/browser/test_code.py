"""Blocks of code, and the button that copies them."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
CODE = "for name in <list>:\n    greet(name)"
DOCUMENT = f"# Greeting\n\nRun this program once.\n\n```python\n{CODE}\n```\n\nThen stop.\n"
RENDERED = """(code) => {
  const pre = document.createElement("pre");
  pre.append(Object.assign(document.createElement("code"), { textContent: `${code}\\n` }));
  document.querySelector("#turns").append(pre);
}"""
"""An answer as the server renders it, which comes after the page was loaded."""


def made(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()


@pytest.fixture
def document(cairn_server: Server) -> str:
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    with httpx.Client(base_url=f"{cairn_server.url}/api/v1", headers=headers, timeout=300) as api:
        base = made(api.post("/knowledge-bases", json={"name": "Programs"}))["id"]
        files = {"file": ("greeting.md", DOCUMENT.encode())}
        sent = made(api.post(f"/knowledge-bases/{base}/documents", files=files))
        give_up = time.monotonic() + 120
        while made(api.get(f"/jobs/{sent['job']['id']}"))["stage"] != "ready":
            assert time.monotonic() < give_up
            time.sleep(0.3)
    return str(sent["document"]["id"])


def assert_copies_by_keyboard(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy code")
    expect(button).to_have_count(1)
    page.get_by_role("group", name="Code").focus()
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Code copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == CODE


def test_code_of_a_document_is_copied(sign_in: SignIn, document: str) -> None:
    page = sign_in()
    page.goto(f"/library/documents/{document}")
    expect(page.get_by_role("group", name="Code")).to_have_text(CODE)
    assert_copies_by_keyboard(page)


def test_code_of_an_answer_is_copied(sign_in: SignIn) -> None:
    page = sign_in()
    page.goto("/")
    page.evaluate(RENDERED, CODE)
    assert_copies_by_keyboard(page)
