"""A crawl of a website: page by page, from the start page and the sitemap, along the links."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from protego import Protego

from cairn.messages import CodedMessage
from ingestion.sources.item_streams import MAX_VERSION_LENGTH, shorten_id
from ingestion.sources.kinds.website.addresses import (
    Site,
    container_of,
    file_name,
    page_name,
    page_path,
)
from ingestion.sources.kinds.website.crawl_state import CrawlState, PageState
from ingestion.sources.kinds.website.file_types import is_worth_request, name_file
from ingestion.sources.kinds.website.options import Discovery, WebsiteOptions
from ingestion.sources.kinds.website.page import parse_page
from ingestion.sources.kinds.website.page_requests import (
    Failed,
    File,
    Html,
    Missing,
    Moved,
    Outcome,
    PageRequests,
    Unchanged,
)
from ingestion.sources.kinds.website.page_store import PageStore
from ingestion.sources.protocol import (
    Change,
    Complete,
    Gone,
    Item,
    Progress,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)

USER_AGENT: Final = "Cairn"
MAX_FAILED: Final = 10
"""So many pages in a row that can't be read end the crawl: the website is out of order."""
UNREAD_FOR: Final = timedelta(days=7)
"""For so long, a page that has never been read may be what links to others: nothing is deleted."""


@dataclass(slots=True)
class Crawl:
    """A crawl, with the state of the one before. `in_sitemap` are further addresses to start from; `copies`
    are pages whose canonical address is another one."""

    options: WebsiteOptions
    site: Site
    requests: PageRequests
    store: PageStore
    robots: Protego
    before: CrawlState
    now: datetime
    in_sitemap: list[str] = field(default_factory=list)
    after: CrawlState = field(default_factory=CrawlState)
    queue: deque[tuple[str, int]] = field(default_factory=deque)
    queued: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    copies: dict[str, PageState] = field(default_factory=dict)
    failed_in_a_row: int = 0

    def run(self) -> Iterator[Change]:
        """Yield all pages and files, then Complete with the state for the next crawl."""
        if self.options.discovery != Discovery.SITEMAP:
            self._enqueue(self.site.start, 0)
        for address in self.in_sitemap:
            self._enqueue(self.site.restore_slash(address), 0)
        requested = 0
        while self.queue and requested < self.options.max_pages:
            requested += 1
            yield Progress()
            address, depth = self.queue.popleft()
            yield from self._visit(address, depth)
        if self.options.discovery != Discovery.SITEMAP:
            self._require_page()
        yield from self._list_copies()
        if self.queue:
            limit = CodedMessage("website_too_large", limit=self.options.max_pages)
            yield Unlisted("", limit)
        elif any(first > self.now - UNREAD_FOR for first in self.after.unread.values()):
            yield Unlisted("", CodedMessage("website_page_unread", address=next(iter(self.after.unread))))
        yield Complete(self.after.encode())

    def _require_page(self) -> None:
        """Raise SourceRefused if redirects of the start page lead to no page, such as in a loop: an empty
        listing would delete everything."""
        if not (self.after.pages or self.after.unread or self.queue):
            raise SourceRefused(CodedMessage("website_start_leads_nowhere", address=self.site.start))

    def _enqueue(self, address: str, depth: int) -> None:
        if address not in self.queued and self.robots.can_fetch(address, USER_AGENT):
            self.queued.add(address)
            self.queue.append((address, depth))

    def _visit(self, address: str, depth: int) -> Iterator[Change]:
        known = self.before.pages.get(address)
        outcome = self.requests.fetch(
            address, etag=known.etag if known else "", modified=known.modified if known else ""
        )
        self.failed_in_a_row = self.failed_in_a_row + 1 if _is_outage(outcome) else 0
        match outcome:
            case Html():
                page = self._read_page(address, outcome)
                if known is None or known.version != page.version:
                    self.store.add(address, page.version, outcome)
                yield from self._note(address, page, depth)
            case File():
                yield from self._note(address, self._read_file(address, outcome), depth)
            case Unchanged() if known:
                yield from self._note(address, known, depth)
            case Unchanged():
                yield from self._fail(
                    address,
                    Failed(CodedMessage("website_page_failed", server=self.requests.server.name, status=304)),
                    depth,
                )
            case Moved():
                yield from self._follow_redirect(address, outcome, depth)
            case Missing():
                yield from self._report_missing(address)
            case Failed():
                yield from self._fail(address, outcome, depth)

    def _follow_redirect(self, address: str, moved: Moved, depth: int) -> Iterator[Change]:
        """Visit where a redirect leads to. A temporary one may be for signing in if the page is known, or if
        the target isn't in the selected part."""
        target = self.site.find(address, moved.target)
        if not moved.permanent and address in self.before.pages:
            yield from self._fail(address, Failed(_describe_redirect(address, moved, self.site)), depth)
        elif target is not None:
            self._enqueue(target, depth)
        elif address == self.site.start:
            name, elsewhere = self.requests.server.name, moved.target[:200]
            raise SourceRefused(CodedMessage("source_redirects", server=name, target=elsewhere))
        elif moved.permanent:
            yield from self._report_missing(address)
        else:
            yield from self._fail(address, Failed(CodedMessage("website_page_elsewhere")), depth)

    def _report_missing(self, address: str) -> Iterator[Change]:
        if address == self.site.start and self.options.discovery != Discovery.SITEMAP:
            name = self.requests.server.name
            raise SourceRefused(CodedMessage("website_start_missing", server=name, address=address))
        if address in self.before.pages:
            yield Gone(shorten_id(address))

    def _fail(self, address: str, failed: Failed, depth: int) -> Iterator[Change]:
        """List a page that can't be read now as it was, with the links that it had."""
        if address == self.site.start and not failed.is_outage:
            raise SourceRefused(failed.reason)
        if address == self.site.start or self.failed_in_a_row >= MAX_FAILED:
            raise SourceUnavailable(failed.reason)
        if known := self.before.pages.get(address):
            yield Unlisted(page_path(address), failed.reason)
            yield from self._note(address, known, depth)
        elif not self.before.pages or address in self.before.unread:
            self.after.unread[address] = self.before.unread.get(address, self.now)

    def _note(self, address: str, page: PageState, depth: int) -> Iterator[Change]:
        self.after.pages[address] = page
        if depth < self.options.depth and self.options.discovery != Discovery.SITEMAP:
            for link in page.links:
                self._enqueue(self.site.restore_slash(link), depth + 1)
        if page.canonical:
            self._enqueue(page.canonical, depth)
            self.copies[address] = page
        elif page.indexed and page.name:
            self.listed.add(address)
            yield _build_item(address, page)

    def _list_copies(self) -> Iterator[Change]:
        """List pages whose canonical address isn't a page, such as one that doesn't exist."""
        for address, page in self.copies.items():
            if page.canonical not in self.listed and page.indexed and page.name:
                self.listed.add(address)
                yield _build_item(address, page)

    def _read_page(self, address: str, answer: Html) -> PageState:
        page = parse_page(answer.content, answer.charset, address)
        links = (self.site.find(page.base, link) for link in page.links)
        canonical = self.site.find(page.base, page.canonical) if page.canonical else None
        return PageState(
            version=page.digest,
            name=page_name(address),
            title=page.title[:500],
            etag=answer.etag,
            modified=answer.modified,
            canonical=canonical if canonical and canonical != address else "",
            links=tuple(link for link in dict.fromkeys(links) if link and self._takes(link)),
            indexed=page.indexed,
        )

    def _takes(self, link: str) -> bool:
        """Return whether a link is worth a request: pages are, and documents, if they are chosen."""
        return is_worth_request(file_name(link), files=self.options.files)

    def _read_file(self, address: str, answer: File) -> PageState:
        name = name_file(file_name(address), answer.media_type) if self.options.files else ""
        return PageState(
            version=shorten_id(answer.version, MAX_VERSION_LENGTH),
            name=name,
            size=answer.size,
            etag=answer.etag,
            modified=answer.modified,
        )


def _describe_redirect(address: str, moved: Moved, site: Site) -> str:
    if address != site.start:
        return CodedMessage("website_page_elsewhere")
    return CodedMessage("website_start_moved", address=address, target=moved.target[:200])


def _is_outage(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and outcome.is_outage


def _build_item(address: str, page: PageState) -> Item:
    return Item(
        id=shorten_id(address),
        name=page.name,
        uri=address,
        version=page.version,
        container=container_of(address),
        title=page.title,
        size=page.size,
        modified=_parse_time(page.modified),
    )


def _parse_time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
