"""HTML: removed boilerplate, markup adapted to unstructured, then partitioned."""

import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from lxml import etree, html
from unstructured.partition.html import partition_html

from cairn.library.links import safe_url
from cairn.library.rendition import Rendition, Report
from ingestion.parse.core import failures, html_tables, report_notes, unstructured_elements
from ingestion.parse.core.anchors import Anchor
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.html import boilerplate
from ingestion.parse.text.cleaning import clean, decode

_DEEPEST: Final = 150
_LONGEST_TEXT: Final = 2_000_000  # libxml2 drops longer ones, and all after them, in unstructured's parser
_EMBEDDED: Final = ("embed", "iframe", "object", "video", "audio")
# unstructured takes these for boilerplate; in a handbook they contain the answer
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
_BLOCKS: Final = ("p", "div", "table", "ul", "ol")
_WEIGHT: Final = re.compile(r"font-weight:(bold|[6-9]00)\b")
_PROPERTIES: Final = {
    "author": ("author", "dc.creator", "dcterms.creator"),
    "date": ("date", "dc.date", "dcterms.date", "article:published_time"),
}
_CHARSET: Final = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]{2,40})""", re.IGNORECASE)
_HEAD: Final = 4096
_LONGEST_PROPERTY: Final = 300
# without what its decorators add to each element: ids, hashes, parents, types of file
_partition: Final = inspect.unwrap(partition_html)


def parse(path: Path, limits: Limits) -> Rendition:
    data = path.read_bytes()
    declared = _CHARSET.search(data[:_HEAD])
    return read(decode(data, declared=declared.group(1).decode("ascii") if declared else ""), limits)


def read(
    source: str, limits: Limits, *, title: str | None = None, first_row_is_header: bool = False
) -> Rendition:
    """Parse HTML. `title` overrides the page's own.

    `first_row_is_header` applies to tables without marked header.
    """
    root = _tree(source)
    if root is None:
        raise failures.no_text()
    if any(len(text) > _LONGEST_TEXT for text in root.itertext()):
        raise failures.too_long(_LONGEST_TEXT)
    named, properties = title or _title(root), _properties(root)
    _resolve_links(root)
    unread = _reshape(root)
    tables = _table_anchors(root)
    builder = RenditionBuilder(limits)
    text = html.tostring(root, encoding="unicode")
    elements = _partition(text=text)
    unstructured_elements.collect(
        elements, builder, first_row_is_header=first_row_is_header, table_anchors=tables
    )
    report = Report(tables=builder.tables, warnings=unread)
    return builder.build(title=named or builder.first_heading, report=report, properties=properties)


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
        raise failures.damaged("web page")  # the rest of it would be missing without a word
    return root


def _title(root: html.HtmlElement) -> str | None:
    found = root.find(".//head/title")
    return clean(found.text_content()) if found is not None else None


def _properties(root: html.HtmlElement) -> dict[str, str]:
    """Return author, date and language from the page's metadata."""
    metadata = {_meta_name(meta): meta.get("content") for meta in root.iter("meta")}
    found = {key: next(filter(None, map(metadata.get, names)), "") for key, names in _PROPERTIES.items()}
    found["language"] = root.get("lang") or ""
    cleaned = ((key, clean(value).strip()[:_LONGEST_PROPERTY]) for key, value in found.items())
    return {key: value for key, value in cleaned if value}


def _meta_name(meta: html.HtmlElement) -> str:
    return (meta.get("name") or meta.get("property") or "").lower()


def _resolve_links(root: html.HtmlElement) -> None:
    """Replace targets by safe ones, or remove them. Relative ones need a page that names its address."""
    base = next((node.get("href") for node in root.iter("base") if node.get("href")), "")
    for link in root.iter("a"):
        target = _resolve(base, link.attrib.pop("href", ""))
        if target:
            link.set("href", target)


def _resolve(base: str, target: str) -> str | None:
    try:
        return safe_url(urljoin(base, target) if base else target)
    except ValueError:
        return None


def _table_anchors(root: html.HtmlElement) -> list[Sequence[Anchor]]:
    """Return the links of each table for which unstructured returns an element."""
    filled = (table for table in root.iter("table") if any(_filled_cells(table)))
    return [
        [Anchor(link.text_content(), link.get("href") or "") for link in table.iter("a")] for table in filled
    ]


def _filled_cells(table: html.HtmlElement) -> Iterator[bool]:
    return (bool(cell.text_content().strip()) for cell in table.iter("td", "th"))


def _reshape(root: html.HtmlElement) -> tuple[str, ...]:
    """Adapt the markup for unstructured. Returns notes about skipped content for the report."""
    _flatten(root)
    boilerplate.remove(root)
    unread = _unread(root)
    for element in list(root.iter(*_EMBEDDED)):
        element.drop_tree()
    for element in list(root.iter(*_RENAMED)):
        element.tag = _RENAMED[element.tag]
    for image in list(root.iter("img")):
        _image(image)
    _embolden(root)
    for table in list(root.iter("table")):
        _table(table)
    for item in list(root.iter("li")):
        _unwrap_first_paragraph(item)
    for numbered in root.iter("ol"):
        _number(numbered)
    for mark in root.xpath("//a[@role='doc-noteref']"):
        _note_mark(mark)
    return unread


def _unread(root: html.HtmlElement) -> tuple[str, ...]:
    """Count unread images, except decorative ones, which have an empty description."""
    pictures = sum(image.get("alt") != "" for image in root.iter("img"))
    embedded = sum(1 for _ in root.iter(*_EMBEDDED))
    return report_notes.build_count_note("skipped_images", pictures) + report_notes.build_count_note(
        "skipped_objects", embedded
    )


def _flatten(root: html.HtmlElement) -> None:
    """Remove tags below a safe depth, but not their text, since partitioning recurses."""
    deep = [node for node, depth in _depths(root) if depth > _DEEPEST]
    for node in reversed(deep):
        node.drop_tag()


def _depths(root: html.HtmlElement) -> Iterator[tuple[html.HtmlElement, int]]:
    depth = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "start":
            yield node, depth


def _image(image: html.HtmlElement) -> None:
    """Replace an image by its description inline; unstructured would split the paragraph."""
    image.tag, description = "span", (image.get("alt") or "").strip()
    image.text = f" {description} " if description else None


def _embolden(root: html.HtmlElement) -> None:
    """Turn bold styles into tags, since a bold line may be a heading."""
    for node in list(root.iter("p", "div", "span", "font")):
        if not _is_bold(node) or next(node.iterancestors("table", "b", "strong"), None) is not None:
            continue
        if node.tag in ("span", "font"):
            node.tag = "b"
        elif next(node.iterdescendants(*_BLOCKS), None) is None and not _has_plain_part(node):
            _wrap_content(node)


def _is_bold(node: html.HtmlElement) -> bool:
    return _WEIGHT.search((node.get("style") or "").replace(" ", "").lower()) is not None


def _has_plain_part(node: html.HtmlElement) -> bool:
    weighed = (part for part in node.iterdescendants() if "font-weight" in (part.get("style") or ""))
    return not all(map(_is_bold, weighed))


def _wrap_content(node: html.HtmlElement) -> None:
    bold = node.makeelement("b", {})
    bold.text, node.text = node.text, None
    bold.extend(list(node))
    node.append(bold)


def _table(table: html.HtmlElement) -> None:
    """Turn layout tables into plain blocks, and write out the spans of others."""
    if table.get("role") != "presentation" and not _places_things(table):
        html_tables.write_out_spans(table)
        return
    for part in [table, *(node for node in table.iter(*_LAYOUT_PARTS) if _owner(node) is table)]:
        part.tag = "div"


def _owner(part: html.HtmlElement) -> html.HtmlElement | None:
    return next(part.iterancestors("table"), None)


def _places_things(table: html.HtmlElement) -> bool:
    if any(node is not table for node in table.iter(*_LAYOUT)):
        return True
    return all(sum(cell.tag in ("td", "th") for cell in row) <= 1 for row in html_tables.rows_of(table))


def _unwrap_first_paragraph(item: html.HtmlElement) -> None:
    """Unwrap `<li><p>`, so that it becomes a list item whatever follows the paragraph."""
    if len(item) and item[0].tag == "p" and not (item.text or "").strip():
        item[0].drop_tag()


def _number(numbered: html.HtmlElement) -> None:
    """Write the visible numbers of list items into the text."""
    start = numbered.get("start") or "1"
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
    items = [item for item in numbered if item.tag == "li"]
    for number, item in enumerate(items, first):
        item.text = f"{number}. {(item.text or '').lstrip()}"


def _note_mark(mark: html.HtmlElement) -> None:
    """Separate superscript note marks, which would merge with the preceding word or figure."""
    number = " ".join(mark.text_content().split())
    for child in list(mark):
        mark.remove(child)
    mark.text = f" [{number}]"
