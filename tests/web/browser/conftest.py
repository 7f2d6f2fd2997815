"""A real browser on a real server. What it may not do is checked on every page it opens."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    StorageState,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.servers import Server
from tests.tour.looking import CHROMIUM, FLAGS

WIDE = ViewportSize(width=1280, height=800)
expect.set_options(timeout=20_000)  # five seconds are too few for two servers and browsers on two busy cores


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one module only: while Playwright runs, its event loop counts as running for every
    test."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        except Error as error:
            pytest.skip(f"no browser: {CHROMIUM} does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@dataclass
class Watch:
    """The requests and complaints of pages."""

    origin: str
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != urlsplit(self.origin).netloc:
            self.strangers.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        """Collect complaints. A failed request isn't one: tests that provoke it check what the page shows."""
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def error(self, error: Error) -> None:
        self.complaints.append(error.message)


@pytest.fixture
def open_page(browser: Browser, cairn_server: Server) -> Iterator[Callable[..., Page]]:
    watch = Watch(cairn_server.url)
    contexts = []

    def open_one(
        *, viewport: ViewportSize = WIDE, touch: bool = False, left: StorageState | None = None
    ) -> Page:
        context = browser.new_context(
            viewport=viewport,
            has_touch=touch,
            storage_state=left,
            base_url=cairn_server.url,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", watch.request)
        page.on("console", watch.console)
        page.on("pageerror", watch.error)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert watch.strangers == []
    assert watch.complaints == []


@pytest.fixture(scope="module")
def signed_in_before() -> dict[str, StorageState]:
    """The browser state after sign-in, by user name, since checking a password is slow on purpose."""
    return {}


@pytest.fixture
def sign_in(
    open_page: Callable[..., Page], cairn_server: Server, signed_in_before: dict[str, StorageState]
) -> Callable[..., Page]:
    """Sign in; a user who signed in earlier in the module gets the same session."""

    def signed_in(
        username: str = cairn_server.username, password: str | None = None, **options: object
    ) -> Page:
        page = open_page(left=signed_in_before.get(username), **options)
        page.goto("/")
        if urlsplit(page.url).path == "/login":
            page.get_by_label("User name").fill(username)
            page.get_by_label("Password").fill(password or cairn_server.password)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/")
            signed_in_before[username] = page.context.storage_state()
        return page

    return signed_in
