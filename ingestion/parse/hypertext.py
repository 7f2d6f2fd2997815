"""HTML: cleared of what is not content, reshaped where unstructured would lose it, then partitioned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lxml import etree, html
from unstructured.partition.html import partition_html

from cairn.library.rendition import Rendition
from ingestion.parse import partition, reject, tables
from ingestion.parse.build import RenditionBuilder
from ingestion.parse.limits import Limits
from ingestion.parse.text import clean, decode

_DEEPEST: Final = 150
_LONGEST_TEXT: Final = 2_000_000  # libxml2 drops longer ones, and all after them, in unstructured's parser
_DROPPED_TAGS: Final = frozenset(
    (
        *("script", "style", "noscript", "template", "meta", "link", "base"),
        *("nav", "aside", "dialog", "button", "input", "select", "textarea"),
        *("embed", "iframe", "object", "svg", "video", "audio", "canvas"),
    )
)
_PAGE_FRAME: Final = frozenset(("header", "footer"))
_CONTENT: Final = frozenset(("article", "main", "section"))
_DROPPED_ROLES: Final = frozenset(("navigation", "banner", "contentinfo", "search", "complementary"))
# unstructured takes these for boilerplate; in a handbook they hold the answer
_RENAMED: Final = {
    "details": "div",
    "summary": "p",
    "figure": "div",
    "figcaption": "p",
    "form": "div",
    "fieldset": "div",
    "legend": "p",
    "label": "span",
}
_LAYOUT: Final = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "article", "section")
_LAYOUT_PARTS: Final = frozenset(("table", "thead", "tbody", "tfoot", "tr", "td", "th"))


def parse(path: Path, limits: Limits) -> Rendition:
    return read(decode(path.read_bytes()), limits)


def read(source: str, limits: Limits, *, title: str | None = None) -> Rendition:
    """`title` wins over the page's own."""
    root = _tree(source)
    if root is None:
        raise reject.no_text()
    if any(len(text) > _LONGEST_TEXT for text in root.itertext()):
        raise reject.too_long(_LONGEST_TEXT)
    named = title or _title(root)
    _reshape(root)
    builder = RenditionBuilder(limits)
    text = html.tostring(root, encoding="unicode")
    partition.collect(partition_html(text=text, languages=[""]), builder, first_row_is_header=False)
    return builder.build(title=named or builder.first_heading)


def _tree(source: str) -> html.HtmlElement | None:
    if not source.strip():
        return None
    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True, no_network=True
    )
    try:
        # bytes, since lxml refuses a str that declares an encoding
        root: html.HtmlElement = html.document_fromstring(source.encode(), parser=parser)
    except etree.ParserError:
        return None
    if any(error.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in parser.error_log):
        raise reject.damaged("web page")  # the rest of it would be missing without a word
    return root


def _title(root: html.HtmlElement) -> str | None:
    found = root.find(".//head/title")
    return clean(found.text_content()) if found is not None else None


def _reshape(root: html.HtmlElement) -> None:
    _flatten(root)
    for element in [node for node in root.iter() if _is_boilerplate(node)]:
        element.drop_tree()
    for element in list(root.iter(*_RENAMED)):
        element.tag = _RENAMED[element.tag]
    for image in list(root.iter("img")):
        _image(image)
    for table in list(root.iter("table")):
        _table(table)
    for item in list(root.iter("li")):
        _unwrap_first_paragraph(item)
    for numbered in root.iter("ol"):
        _number(numbered)


def _flatten(root: html.HtmlElement) -> None:
    """Partitioning recurses; tags below a sane depth go, their text stays."""
    deep = [node for node, depth in _depths(root) if depth > _DEEPEST]
    for node in reversed(deep):
        node.drop_tag()


def _depths(root: html.HtmlElement) -> Iterator[tuple[html.HtmlElement, int]]:
    depth = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "start":
            yield node, depth


def _is_boilerplate(node: html.HtmlElement) -> bool:
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


def _image(image: html.HtmlElement) -> None:
    """Its description reads on as text; unstructured would cut the paragraph in two."""
    image.tag, description = "span", (image.get("alt") or "").strip()
    image.text = f" {description} " if description else None


def _table(table: html.HtmlElement) -> None:
    """Tables that only place things on the page become plain blocks; in others, spans are written out."""
    if table.get("role") != "presentation" and not _places_things(table):
        tables.write_out_spans(table)
        return
    for part in [table, *(node for node in table.iter(*_LAYOUT_PARTS) if _owner(node) is table)]:
        part.tag = "div"


def _owner(part: html.HtmlElement) -> html.HtmlElement | None:
    return next(part.iterancestors("table"), None)


def _places_things(table: html.HtmlElement) -> bool:
    if any(node is not table for node in table.iter(*_LAYOUT)):
        return True
    return all(sum(cell.tag in ("td", "th") for cell in row) <= 1 for row in tables.rows_of(table))


def _unwrap_first_paragraph(item: html.HtmlElement) -> None:
    """`<li><p>` is a list item, whatever follows the paragraph."""
    if len(item) and item[0].tag == "p" and not (item.text or "").strip():
        item[0].drop_tag()


def _number(numbered: html.HtmlElement) -> None:
    """Readers of a step see its number; so should those of the text."""
    start = numbered.get("start") or "1"
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
    items = [item for item in numbered if item.tag == "li"]
    for number, item in enumerate(items, first):
        item.text = f"{number}. {(item.text or '').lstrip()}"
