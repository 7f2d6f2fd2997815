"""Links of a document, in an answer and in the panel with its passage."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
DOCUMENT = """# Business trips

Employees book every business trip in the [online booking portal](https://wayfarer.example.org/book?from=handbook#top)
at least ten days before they leave. Travel costs are refunded with the [expense form](https://ex\u0430mple.org/form)
or by writing to [the travel desk](mailto:desk@example.org?bcc=someone@example.com).
"""


def made(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()


@pytest.fixture
def conversation(cairn_server: Server) -> str:
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    with httpx.Client(base_url=f"{cairn_server.url}/api/v1", headers=headers, timeout=300) as api:
        base = made(api.post("/knowledge-bases", json={"name": "Trips"}))["id"]
        files = {"file": ("trips.md", DOCUMENT.encode())}
        sent = made(api.post(f"/knowledge-bases/{base}/documents", files=files))
        give_up = time.monotonic() + 120
        while made(api.get(f"/jobs/{sent['job']['id']}"))["stage"] != "ready":
            assert time.monotonic() < give_up
            time.sleep(0.3)
        question = "Where do employees book a business trip?"
        answer = made(api.post("/ask", json={"question": question, "knowledge_bases": [base]}))
    assert "online booking portal" in answer["answer"]
    return str(answer["conversation"])


def assert_leads_away_safely(link: Locator, url: str) -> None:
    expect(link).to_have_attribute("href", url)
    expect(link).to_have_attribute("rel", "nofollow noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")


def test_links_are_in_the_answer_and_in_the_panel(sign_in: SignIn, conversation: str) -> None:
    page = sign_in()
    page.goto(f"/conversations/{conversation}")
    body = page.locator(".answer-body")
    portal = "https://wayfarer.example.org/book?from=handbook#top"
    assert_leads_away_safely(body.get_by_role("link", name="online booking portal"), portal)
    expect(body).to_contain_text("online booking portal (wayfarer.example.org)")

    body.locator(".cite").first.click()
    links = page.get_by_role("navigation", name="Links in this passage")
    assert_leads_away_safely(links.get_by_role("link", name="online booking portal"), portal)
