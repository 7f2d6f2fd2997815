"""A web page as the crawler sees it: title, links, canonical address, instructions for robots."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from lxml import etree, html

MAX_LINKS: Final = 5000
_INVISIBLE: Final = ("script", "style", "template", "noscript")
_HEAD: Final = 4096
_HEAD_TAG: Final = re.compile(rb"<head(\s[^<>]{0,1000})?>", re.IGNORECASE)
_BASE_TAG: Final = re.compile(rb"<base\s[^<>]{0,2000}href", re.IGNORECASE)

Node = Any  # lxml's stubs make elements generic in a way that fits none of its functions


@dataclass(frozen=True, slots=True)
class Page:
    """`digest` changes with the visible text and the links, not with scripts and tokens. `links` are as in
    the page, to be resolved against `base`."""

    digest: str
    base: str
    title: str = ""
    canonical: str = ""
    links: tuple[str, ...] = ()
    indexed: bool = True


def parse_page(content: bytes, charset: str, address: str) -> Page:
    """Read a page. One that can't be read has no links."""
    root = _parse(content, charset)
    if root is None:
        return Page(hashlib.sha256(content).hexdigest(), address)
    base = resolve_link(address, next((str(found) for found in root.xpath("//base/@href")), ""))
    robots = _list_robots(root)
    title = " ".join(str(root.xpath("string(//head/title)")).split())
    canonical = next(
        (str(node.get("href")) for node in root.xpath("//link[@href]") if "canonical" in _words(node, "rel")),
        "",
    )
    links = () if robots & {"nofollow", "none"} else _list_links(root)
    etree.strip_elements(root, *_INVISIBLE, with_tail=False)
    text = " ".join(root.text_content().split())
    digest = hashlib.sha256("\n".join((title, text, *links)).encode(errors="surrogatepass")).hexdigest()
    return Page(digest, base, title, canonical, links, indexed=not robots & {"noindex", "none"})


def resolve_link(base: str, link: str) -> str:
    """Return the absolute address of a link, or the base if the link isn't a valid address."""
    try:
        return urljoin(base, link)
    except ValueError:
        return base


def add_base(content: bytes, charset: str, address: str) -> bytes:
    """Return a page as UTF-8 with its own address in it, which relative links need, if it names none."""
    if charset:
        try:
            content = content.decode(charset, "replace").encode("utf-8", "replace")
        except LookupError:
            charset = ""
    if not _BASE_TAG.search(content[:_HEAD]):
        tag = f'<base href="{address.replace("&", "&amp;")}">'.encode()
        head = _HEAD_TAG.search(content[:_HEAD])
        place = head.end() if head else 0
        content = content[:place] + tag + content[place:]
    mark = b"\xef\xbb\xbf"
    return mark + content.removeprefix(mark) if charset else content


def _parse(content: bytes, charset: str) -> Node | None:
    try:
        parser = html.HTMLParser(encoding=charset or None, remove_comments=True, no_network=True)
    except LookupError:
        parser = html.HTMLParser(remove_comments=True, no_network=True)
    try:
        return html.document_fromstring(content, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None


def _list_robots(root: Node) -> set[str]:
    nodes = (node for node in root.xpath("//meta[@name]") if node.get("name").lower() in {"robots", "cairn"})
    return {word.strip().lower() for node in nodes for word in (node.get("content") or "").split(",")}


def _list_links(root: Node) -> tuple[str, ...]:
    nodes = root.xpath("//a[@href] | //area[@href]")
    targets = (str(node.get("href")) for node in nodes if "nofollow" not in _words(node, "rel"))
    return tuple(list(dict.fromkeys(targets))[:MAX_LINKS])


def _words(node: Node, name: str) -> list[str]:
    return (node.get(name) or "").lower().split()
