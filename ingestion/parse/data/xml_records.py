"""XML of any kind: records become fields, text becomes paragraphs, containers become sections."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from lxml import etree

from cairn.library.rendition import Rendition, Report
from ingestion.parse.core import failures, report_notes
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import TEXT, RenditionBuilder
from ingestion.parse.text.cleaning import clean, decode

_KIND: Final = "XML file"
_MOST_FIELDS: Final = 60  # of a record that stands in one piece
_DEEPEST: Final = 6
_LONGEST_LABELLED: Final = 100
_HEADINGS: Final = frozenset(("title", "heading", "head"))
_SCHEMA: Final = "http://www.w3.org/2001/XMLSchema-instance"

Node = Any  # lxml's stubs make elements generic in a way that fits none of its functions


def parse(path: Path, limits: Limits) -> Rendition:
    root = _tree(path.read_bytes())
    entities = _drop_entities(root)
    builder = RenditionBuilder(limits)
    _walk(root, builder, 0)
    report = Report(warnings=report_notes.build_count_note("skipped_entities", entities))
    return builder.build(title=_title(root), report=report)


def _tree(data: bytes) -> Node:
    """Parse the file. If the declared encoding is wrong, it is detected from the bytes."""
    try:
        return etree.fromstring(data, _parser())
    except etree.XMLSyntaxError:
        pass
    try:
        return etree.fromstring(decode(data).strip().encode(), _parser(encoding="utf-8"))
    except etree.XMLSyntaxError as error:
        raise failures.damaged(_KIND) from error


def _parser(encoding: str | None = None) -> Any:
    """Create a parser that does not expand entities, so that none can grow or include files."""
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        strip_cdata=False,
    )


def _drop_entities(root: Node) -> int:
    """Remove entity references, but not the text around them. Returns their number."""
    found = list(root.iter(etree.Entity))
    for entity in found:
        before, parent = entity.getprevious(), entity.getparent()
        if before is None:
            parent.text = (parent.text or "") + (entity.tail or "")
        else:
            before.tail = (before.tail or "") + (entity.tail or "")
        parent.remove(entity)
    return len(found)


def _title(root: Node) -> str | None:
    found = next((child for child in root if _name(child) in _HEADINGS and _is_text(child)), None)
    return _text(found) if found is not None else None


def _walk(node: Node, builder: RenditionBuilder, level: int) -> None:
    if next(_fields(node), None) is None:
        return
    if _is_text(node):
        _add_text(node, builder)
        return
    if level > _DEEPEST:
        builder.add(TEXT, _lines(_fields(node)))
        return
    children = [child for child in node if isinstance(child.tag, str)]
    headed = bool(children) and _name(children[0]) in _HEADINGS and _is_text(children[0])
    builder.heading(level, _text(children[0]) if headed else _name(node))
    builder.add(TEXT, _lines(_attributes(node)))
    _walk_all(children[headed:], builder, level + 1)


def _walk_all(children: list[Node], builder: RenditionBuilder, level: int) -> None:
    """Write children: repeated records share a section, adjacent single values a paragraph."""
    times = Counter(_name(child) for child in children)
    group = ""
    values: list[Node] = []
    for child in children:
        name = _name(child)
        record = times[name] > 1 and _record(child)
        if not record and _is_value(child):
            values.append(child)
            continue
        _add_values(values, builder)
        if not record:
            group = ""
            _walk(child, builder, level)
            continue
        if name != group:
            builder.heading(level, name)
            group = name
        builder.add(TEXT, record)
    _add_values(values, builder)


def _add_values(values: list[Node], builder: RenditionBuilder) -> None:
    builder.add(TEXT, "\n".join(_lines(_fields(value, _name(value))) for value in values))
    values.clear()


def _is_value(node: Node) -> bool:
    return _is_text(node) and len(_text(node)) <= _LONGEST_LABELLED


def _add_text(node: Node, builder: RenditionBuilder) -> None:
    """Add text without a label, which long text does not need."""
    attributes = _lines(_attributes(node))
    builder.add(TEXT, "\n".join(filter(None, (attributes, _text(node)))))


def _record(node: Node) -> str:
    """Return fields, a line each; empty if there are none or too many, or running text."""
    if _is_text(node) and not node.attrib:
        return ""
    found = list(islice(_fields(node), _MOST_FIELDS + 1))
    return _lines(found) if len(found) <= _MOST_FIELDS and not _is_mixed(node) else ""


def _fields(node: Node, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) of all non-empty values in the node."""
    for name, value in _attributes(node):
        yield (f"{path}.{name}" if path else name), value
    if _is_text(node):
        if text := _text(node):
            yield path, text
        return
    for child in node:
        if isinstance(child.tag, str):
            yield from _fields(child, f"{path}.{_name(child)}" if path else _name(child))


def _attributes(node: Node) -> list[tuple[str, str]]:
    named = ((etree.QName(name), " ".join(clean(value).split())) for name, value in node.attrib.items())
    return [(name.localname, value) for name, value in named if value and name.namespace != _SCHEMA]


def _is_text(node: Node) -> bool:
    return not any(isinstance(child.tag, str) for child in node) or _is_mixed(node)


def _is_mixed(node: Node) -> bool:
    """Return whether a node has text with markup, such as a paragraph with a link."""
    between = [node.text, *(child.tail for child in node)]
    return len(node) > 0 and any(text and text.strip() for text in between)


def _text(node: Node) -> str:
    return " ".join(clean("".join(node.itertext())).split())


def _lines(found: "Iterator[tuple[str, str]] | list[tuple[str, str]]") -> str:
    return "\n".join(f"{path}: {text}" if path else text for path, text in found)


def _name(node: Node) -> str:
    return str(etree.QName(node).localname)
