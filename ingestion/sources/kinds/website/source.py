"""A website, crawled from its sitemap and its start page."""

import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import httpx
from django.utils import timezone
from protego import Protego

from cairn.messages import CodedMessage
from ingestion.sources.check_steps import check_reading
from ingestion.sources.item_streams import ItemStream
from ingestion.sources.kinds.website.addresses import Site
from ingestion.sources.kinds.website.crawl import USER_AGENT, Crawl
from ingestion.sources.kinds.website.crawl_state import CrawlState, decode_state
from ingestion.sources.kinds.website.options import Discovery, WebsiteOptions
from ingestion.sources.kinds.website.page import add_base
from ingestion.sources.kinds.website.page_requests import (
    MAX_PAGE_BYTES,
    PageRequests,
    is_page,
)
from ingestion.sources.kinds.website.page_store import PageStore
from ingestion.sources.kinds.website.sitemaps import NotASitemap, list_sitemap_pages
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
    WithoutAccess,
)
from ingestion.sources.web_server import WebServer, open_web_server

MAX_PAUSE_SECONDS: Final = 30.0
MAX_ROBOTS_BYTES: Final = 512_000
_GONE: Final = frozenset((404, 410))
_REFUSED: Final = frozenset((401, 403))
_CHECKED: Final = 3


@contextmanager
def connect(options: WebsiteOptions) -> Iterator["WebsiteSource"]:
    """Open connections to the server as they are needed."""
    site = Site(options.url, queries=options.queries)
    with open_web_server(f"{site.origin}/", headers=options.headers) as server, PageStore() as store:
        yield WebsiteSource(options, site, server, store)


class WebsiteSource(WithoutAccess):
    """Ids of items are their addresses."""

    def __init__(self, options: WebsiteOptions, site: Site, server: WebServer, store: PageStore) -> None:
        self._options, self._site, self._server, self._store = options, site, server, store
        self._requests = PageRequests(server, site, options.pause)

    def check(self) -> Iterator[CheckStep]:
        """Test the connection, robots.txt, the sitemap, and the first page."""
        connected, listed = CodedMessage("source_step_connect"), CodedMessage("source_step_list")
        try:
            self._server.require_encryption()
            robots = self._read_robots()
        except (SourceUnavailable, SourceRefused) as error:
            yield CheckStep(connected, problem=error.message)
            return
        yield CheckStep(connected, warning=self._server.encryption_warning)
        try:
            crawl = self._start_crawl(robots, CrawlState())
            deque(self._read_sitemaps(crawl), maxlen=0)
            items = _list_first(crawl)
        except (SourceUnavailable, SourceRefused) as error:
            yield CheckStep(listed, problem=error.message)
            return
        count = len(crawl.in_sitemap)
        yield CheckStep(listed, CodedMessage("website_in_sitemap", count=count) if count else "")
        yield check_reading(self, items, lambda item: item.uri)

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield all pages and files. Those that didn't change since the crawl before aren't read again."""
        self._server.require_encryption()
        before = decode_state(cursor)
        yield Progress()
        robots = self._read_robots()
        yield Progress()
        crawl = self._start_crawl(robots, before)
        yield from self._read_sitemaps(crawl)
        yield from crawl.run()

    def _start_crawl(self, robots: Protego, before: CrawlState) -> Crawl:
        return Crawl(self._options, self._site, self._requests, self._store, robots, before, timezone.now())

    def _read_robots(self) -> Protego:
        """Read robots.txt, and follow its pause. Raises SourceRefused if it forbids the start page."""
        content = self._requests.fetch_file(f"{self._site.origin}/robots.txt") or b""
        robots = Protego.parse(content[:MAX_ROBOTS_BYTES].decode("utf-8", "replace"))
        if self._options.discovery != Discovery.SITEMAP and not robots.can_fetch(
            self._site.start, USER_AGENT
        ):
            raise SourceRefused(CodedMessage("website_robots_refuse", address=self._site.start))
        delay = robots.crawl_delay(USER_AGENT) or 0.0
        self._requests.pause = max(self._options.pause, min(delay, MAX_PAUSE_SECONDS))
        return robots

    def _read_sitemaps(self, crawl: Crawl) -> Iterator[Progress]:
        """Add the pages in sitemaps to those that a crawl starts from."""
        if self._options.discovery == Discovery.LINKS:
            return
        declared, pages = list(crawl.robots.sitemaps), dict[str, None]()
        try:
            expected = crawl.before.has_sitemap
            for page in list_sitemap_pages(self._requests, self._site, declared, is_expected=expected):
                if page is not None:
                    pages[page] = None
                else:
                    crawl.after.has_sitemap = True
                    yield Progress()
        except NotASitemap as error:
            if declared or crawl.after.has_sitemap or crawl.before.has_sitemap:
                raise self._server.invalid("sitemap") from error
        if crawl.before.has_sitemap and not crawl.after.has_sitemap:
            raise self._server.invalid("sitemap")
        if not crawl.after.has_sitemap and self._options.discovery == Discovery.SITEMAP:
            raise SourceRefused(CodedMessage("website_no_sitemap", server=self._server.name))
        crawl.in_sitemap = list(pages)

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a page with its address in it, or a file. Pages that the listing has read aren't requested
        again."""
        if self._site.find(self._site.start, item.uri) != item.uri:  # of an address configured before
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        if stored := self._store.find(item.uri, item.version):
            yield io.BytesIO(add_base(stored.content, stored.charset, item.uri))
            return
        with self._requests.open(item.uri, {}) as response:
            self._require_item(item, response)
            if is_page(response):
                content = self._read_page(response)
                yield io.BytesIO(add_base(content, response.charset_encoding or "", item.uri))
            else:
                yield io.BufferedReader(ItemStream(_read_pieces(item, response), lambda: None))

    def _read_page(self, response: httpx.Response) -> bytes:
        try:
            return self._requests.read(response, MAX_PAGE_BYTES)
        except SourceUnavailable as error:
            raise ItemUnavailable(error.message) from error

    def _require_item(self, item: Item, response: httpx.Response) -> None:
        status = response.status_code
        if status in _GONE or 300 <= status < 400:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        if status in _REFUSED:
            raise ItemUnavailable(CodedMessage("source_item_refused", name=item.name))
        if status != 200 or response.headers.get("Content-Encoding", "identity") != "identity":
            reason = f"HTTP {status}"
            raise ItemUnavailable(CodedMessage("source_item_broken", name=item.name, reason=reason))
        if is_page(response) != item.name.endswith(".html"):
            raise ItemUnavailable(CodedMessage("source_item_changed"))


def _list_first(crawl: Crawl) -> list[Item]:
    """Return the first document, from a crawl that ends after a few requests."""
    for requested, change in enumerate(crawl.run()):
        if isinstance(change, Item):
            return [change]
        if isinstance(change, Complete) or requested > _CHECKED:
            break
    return []


def _read_pieces(item: Item, response: httpx.Response) -> Iterator[bytes]:
    """Yield the content of a file. One that ends before its announced size is refused."""
    try:
        yield from response.iter_raw()
    except httpx.TransportError as error:
        raise ItemUnavailable(
            CodedMessage("source_item_broken", name=item.name, reason=str(error))
        ) from error
