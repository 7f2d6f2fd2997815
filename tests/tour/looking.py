"""Opens what the table lists, with one context for each person."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Response, ViewportSize

from tests.tour.sample import NOBODY, Sample
from tests.tour.visits import LEADING, Visit

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=740)


class Tour:
    """Contexts are reused for each person, since signing in stores data in them."""

    def __init__(self, browser: Browser, sample: Sample, *, language: str = "en") -> None:
        self.browser = browser
        self.sample = sample
        self._language = language
        self._contexts: dict[str, BrowserContext] = {}

    @contextmanager
    def visit(self, visit: Visit) -> Iterator[Page]:
        context = self._context(visit.who)
        page = context.new_page()
        page.set_viewport_size(PHONE if visit.narrow else DESKTOP)
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        try:
            self._open(page, visit)
            yield page
        finally:
            context.set_offline(False)
            page.close()
            if visit.who == NOBODY:
                context.close()

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()

    def _open(self, page: Page, visit: Visit) -> None:
        if visit.failure:
            body = self.sample.failures[visit.failure]
            page.route("**/library", lambda route: route.fulfill(body=body, content_type="text/html"))
        response = page.goto(self.sample.path(visit.path))
        self._require(visit, response)
        if page.locator("[hx-trigger*=load]").count():
            page.wait_for_load_state("networkidle")
        if visit.prepare:
            visit.prepare(page)

    def _require(self, visit: Visit, response: Response | None) -> None:
        assert response is not None
        assert response.status == visit.status, f"{visit}: {response.status}"
        landed, wanted = urlsplit(response.url).path, urlsplit(self.sample.path(visit.path)).path
        assert landed == wanted or wanted in LEADING, f"{visit} was led away to {landed}"

    def _context(self, who: str) -> BrowserContext:
        if who == NOBODY:
            return self._new_context()
        if who not in self._contexts:
            context = self._new_context()
            session = {"name": self.sample.cookie, "value": self.sample.sessions[who]}
            context.add_cookies([{**session, "url": self.sample.server.url}])  # type: ignore[list-item]
            self._contexts[who] = context
        return self._contexts[who]

    def _new_context(self) -> BrowserContext:
        return self.browser.new_context(base_url=self.sample.server.url, locale=self._language)
