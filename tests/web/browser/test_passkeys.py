"""A passkey, made and used by a real browser with an authenticator of its own."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.servers import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, cairn_server: Server) -> Iterator[Page]:
    """A page on localhost, since browsers offer no passkeys for IP addresses."""
    origin = f"http://localhost:{urlsplit(cairn_server.url).port}"
    context = browser.new_context(base_url=origin, viewport=ViewportSize(width=360, height=740))
    opened = context.new_page()
    devtools = context.new_cdp_session(opened)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield opened
    context.close()


def test_passkey_is_added_and_signs_in(page: Page, cairn_server: Server) -> None:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(error.message))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto("/login")
    page.get_by_label("User name").fill(cairn_server.username)
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    page.goto("/account")
    page.get_by_role("link", name="Set up").click()
    page.get_by_role("link", name="Add passkey").click()
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("textbox", name="Name").fill("Laptop")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    page.get_by_role("link", name="Done").click()
    page.get_by_text("Laptop").wait_for()

    page.context.clear_cookies()
    page.goto("/login?next=/library")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/library")
    page.get_by_role("heading", name="Library").wait_for()

    page.context.clear_cookies()
    page.goto("/login")
    page.get_by_label("User name").fill(cairn_server.username)
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url("**/")

    page.goto("/account/second-factor")
    page.get_by_role("link", name="Remove Laptop").click()
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("Sign in with your fingerprint").wait_for()
    assert complaints == []
