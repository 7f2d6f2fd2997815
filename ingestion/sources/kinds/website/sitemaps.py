"""Sitemaps (sitemaps.org): addresses of pages in XML, in several files if an index lists them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from ingestion.sources.kinds.website.addresses import Site
from ingestion.sources.kinds.website.page_requests import PageRequests

MAX_SITEMAPS: Final = 1000
MAX_ADDRESSES: Final = 200_000


class NotASitemap(Exception):
    """The address of a sitemap returned something else, such as a sign-in page."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """The addresses in a sitemap, of pages or, in an index, of other sitemaps."""

    is_index: bool
    addresses: tuple[str, ...]


def list_sitemap_pages(
    requests: PageRequests, site: Site, declared: Sequence[str], *, is_expected: bool
) -> Iterator[str | None]:
    """Yield the addresses in sitemaps that belong to the selected part, and None for each file read.

    `declared` are sitemaps that robots.txt names; without any, /sitemap.xml is read. Raises NotASitemap, and
    SourceUnavailable if one can't be read. Without `is_expected`, there may be no /sitemap.xml.
    """
    waiting = list(declared) or [f"{site.origin}/sitemap.xml"]
    seen: set[str] = set()
    count = 0
    while waiting and len(seen) < MAX_SITEMAPS:
        address = site.find_on_server(f"{site.origin}/", waiting.pop(0))
        if address is None or address in seen:
            continue
        seen.add(address)
        is_first = len(seen) == 1
        content = requests.fetch_file(address, is_expected=is_expected or bool(declared) or not is_first)
        if content is None:
            continue
        sitemap = parse_sitemap(content)
        yield None
        if sitemap.is_index:
            waiting.extend(sitemap.addresses[: max(MAX_SITEMAPS - len(waiting), 0)])
            continue
        for link in sitemap.addresses:
            count += 1
            if count > MAX_ADDRESSES:
                return
            if page := site.find(address, link):
                yield page


def parse_sitemap(content: bytes) -> Sitemap:
    """Read a sitemap or an index of sitemaps. Entities aren't expanded. Raises NotASitemap."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotASitemap from error
    if root is None or _tag(root) not in {"urlset", "sitemapindex"}:
        raise NotASitemap
    entries = (entry for entry in root if _tag(entry) in {"url", "sitemap"})
    found = (child.text for entry in entries for child in entry if _tag(child) == "loc" and child.text)
    return Sitemap(_tag(root) == "sitemapindex", tuple(text.strip() for text in found))


def _tag(node: etree._Element) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""
