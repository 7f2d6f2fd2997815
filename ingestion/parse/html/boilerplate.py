"""Boilerplate of web pages: navigation, banners, hidden parts, headers and footers of printed pages."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from lxml import html

_DROPPED_TAGS: Final = frozenset(
    (
        *("script", "style", "noscript", "template", "meta", "link", "base"),
        *("nav", "aside", "dialog", "button", "input", "select", "textarea", "svg", "canvas"),
    )
)
_PAGE_FRAME: Final = frozenset(("header", "footer"))
_CONTENT: Final = frozenset(("article", "main", "section"))
_DROPPED_ROLES: Final = frozenset(
    (
        *("navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog", "menu"),
        *("menubar", "doc-backlink"),
    )
)
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_BANNERS: Final = frozenset(("cookie", "cookies", "gdpr", "consent"))
_BOILERPLATE: Final = frozenset(("boilerplate",))
_LINK_LISTS: Final = frozenset(
    (
        *("nav", "navbar", "navigation", "menu", "breadcrumb", "breadcrumbs", "skip", "skiplink"),
        *("pager", "pagination", "social", "share", "sharing"),
    )
)
_NAMES: Final = _BANNERS | _BOILERPLATE | _LINK_LISTS
_LONGEST_BANNER: Final = 3000
_LARGEST_SHARE: Final = 0.4  # of the page's text; more is no frame, whatever it is called
_LINK_SHARE: Final = 0.6
_LONGEST_MARK: Final = 80
_REPEATED: Final = 3
_PAGE_NUMBER: Final = re.compile(r"(?:page\s*)?[-–—]?\s*(?:\d{1,4}|[ivxlc]{1,6})\s*[-–—]?", re.IGNORECASE)


def remove(root: html.HtmlElement) -> None:
    _drop([node for node in root.iter() if _is_frame(node)])
    _drop(list(_find_named_frames(root)))
    _drop(list(_page_marks(root)))


def _drop(nodes: list[html.HtmlElement]) -> None:
    for node in nodes:
        if node.getparent() is not None:
            node.drop_tree()


def _is_frame(node: html.HtmlElement) -> bool:
    if node.tag in ("html", "body"):
        return False
    if node.tag in _DROPPED_TAGS or node.get("role") in _DROPPED_ROLES:
        return True
    if node.tag in _PAGE_FRAME:
        return not any(ancestor.tag in _CONTENT for ancestor in node.iterancestors())
    return _is_hidden(node)


def _is_hidden(node: html.HtmlElement) -> bool:
    style = (node.get("style") or "").replace(" ", "").lower()
    hidden = "hidden" in node.attrib or node.get("aria-hidden") == "true"
    return hidden or "display:none" in style or "visibility:hidden" in style


def _find_named_frames(root: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """Yield parts whose class or id names boilerplate, unless their text is content."""
    most = len(root.text_content()) * _LARGEST_SHARE
    for node in root.iter("div", "ul", "ol", "p", "section", "form"):
        words = set(_words(node))
        if not words & _NAMES or _has_content(node):
            continue
        text = node.text_content()
        is_banner = words & _BOILERPLATE or (words & _BANNERS and len(text) <= _LONGEST_BANNER)
        if len(text) <= most and (is_banner or _is_mostly_links(node, text)):
            yield node


def _words(node: html.HtmlElement) -> Iterator[str]:
    named = f"{node.get('class') or ''} {node.get('id') or ''}"
    return (word.lower() for word in _WORD.findall(named))


def _has_content(node: html.HtmlElement) -> bool:
    return node.tag in ("html", "body") or next(node.iter("main", "article", "h1"), None) is not None


def _is_mostly_links(node: html.HtmlElement, text: str) -> bool:
    linked = sum(len("".join(link.text_content().split())) for link in node.iter("a"))
    return linked >= len("".join(text.split())) * _LINK_SHARE


def _page_marks(root: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """Yield page numbers and lines that repeat at most breaks between printed pages."""
    near = [found for mark in _breaks(root) for found in _neighbours(mark)]
    times = Counter(text for _, text in near)
    for node, text in near:
        if _PAGE_NUMBER.fullmatch(text) or times[text] >= _REPEATED:
            yield node


def _breaks(root: html.HtmlElement) -> list[html.HtmlElement]:
    empty = (node for node in root.iter("hr", "div", "p") if "page-break-" in (node.get("style") or ""))
    return [node for node in empty if not _text(node)]


def _neighbours(mark: html.HtmlElement) -> Iterator[tuple[html.HtmlElement, str]]:
    """Return the blocks before and after the break, if short."""
    for before in (True, False):
        filled = (node for node in mark.itersiblings(preceding=before) if _text(node))
        node = next(filled, None)
        if node is not None and node.tag in ("p", "div", "span", "a") and len(_text(node)) <= _LONGEST_MARK:
            yield node, _text(node)


def _text(node: html.HtmlElement) -> str:
    return " ".join(node.text_content().split())
