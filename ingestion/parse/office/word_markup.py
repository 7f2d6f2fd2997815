"""Expose content that python-docx ignores: content controls, tracked changes, text boxes, notes, formulas."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from docx.document import Document
from docx.opc.part import Part
from docx.oxml.ns import qn
from lxml import etree

from ingestion.parse.core.report_notes import build_count_note

Node = Any  # python-docx's elements are lxml's with methods made at run time

_GONE: Final = (
    *map(qn, ("w:del", "w:moveFrom")),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
)
_TRANSPARENT: Final = (
    *map(qn, ("w:ins", "w:moveTo", "w:smartTag", "w:customXml", "w:fldSimple", "w:sdtContent", "w:sdt")),
    *map(qn, ("w:bdo", "w:dir", "w:ruby", "w:rubyBase")),
)
_PROPERTIES: Final = tuple(map(qn, ("w:sdtPr", "w:sdtEndPr", "w:smartTagPr", "w:rubyPr", "w:rPr")))
_RUN: Final = qn("w:r")
_BLOCKS: Final = frozenset((qn("w:p"), qn("w:tbl")))
_FORMULA: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath"
_FORMULA_TEXT: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_PICTURES: Final = (
    "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic",
    "{urn:schemas-microsoft-com:vml}imagedata",
)
_CHARTS: Final = (
    "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart",
    "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds",
)
_NOTES: Final = (("footnote", qn("w:footnoteReference")), ("endnote", qn("w:endnoteReference")))
_CONTENTS: Final = "toc "


def unfold(document: Document) -> tuple[str, ...]:
    """Rewrite the document's markup. Returns notes about content that is still unread."""
    body = document.element.body
    _drop(body.iter(*_GONE))
    _drop(_contents(document))
    unread = _unread(document)
    for node in list(body.iter(*_TRANSPARENT)):
        _unwrap(node)
    for run in [one for one in body.iter(_RUN) if one.getparent().tag == _RUN]:
        _unwrap(run)  # the base of a ruby is a run within a run
    for box in list(body.iter(qn("w:txbxContent"))):
        _lift(box)
    for formula in list(body.iter(_FORMULA)):
        formula.getparent().replace(
            formula, _run("".join(one.text or "" for one in formula.iter(_FORMULA_TEXT)))
        )
    for kind, tag in _NOTES:
        _place_notes(body.iter(tag), _note_texts(document, kind))
    return unread


def _drop(nodes: Iterable[Node]) -> None:
    for node in list(nodes):
        if (parent := node.getparent()) is not None:
            parent.remove(node)


def _contents(document: Document) -> Iterator[Node]:
    """Return tables of contents, whose headings are repeated in the text."""
    all_styles = document.styles.element.iter(qn("w:style"))
    styles = {style.get(qn("w:styleId")) for style in all_styles if _is_toc(style)}
    for paragraph in document.element.body.iter(qn("w:p")):
        style = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        if style is not None and style.get(qn("w:val")) in styles:
            yield paragraph


def _is_toc(style: Node) -> bool:
    """Return whether a style is for a table of contents. Names, unlike ids, do not depend on the language."""
    name = style.find(qn("w:name"))
    return name is not None and (name.get(qn("w:val")) or "").lower().startswith(_CONTENTS)


def _unread(document: Document) -> tuple[str, ...]:
    body = document.element.body
    comments = [len(etree.fromstring(part.blob)) for part in _parts(document, "comments")]
    return (
        *build_count_note("skipped_images", sum(1 for _ in body.iter(*_PICTURES))),
        *build_count_note("skipped_charts", sum(1 for _ in body.iter(*_CHARTS))),
        *build_count_note("skipped_comments", sum(comments)),
    )


def _unwrap(node: Node) -> None:
    """Replace a node by its children, except its properties."""
    parent = node.getparent()
    place = parent.index(node)
    parent[place : place + 1] = [child for child in node if child.tag not in _PROPERTIES]


def _lift(box: Node) -> None:
    """Move the content of a text box behind the paragraph it is anchored to."""
    anchor = next((node for node in box.iterancestors() if node.tag == qn("w:p")), None)
    if anchor is None:
        return
    for block in reversed([child for child in box if child.tag in _BLOCKS]):
        anchor.addnext(block)


def _note_texts(document: Document, kind: str) -> dict[str, str]:
    """Return texts of notes by id."""
    notes = (note for part in _parts(document, f"{kind}s") for note in etree.fromstring(part.blob))
    return {note.get(qn("w:id"), ""): " ".join(_join_texts(note, qn("w:t")).split()) for note in notes}


def _join_texts(node: Node, tag: str) -> str:
    return "".join(one.text or "" for one in node.iter(tag))


def _place_notes(references: Iterable[Node], texts: dict[str, str]) -> None:
    """Insert notes after the paragraphs that refer to them, so that they are retrieved together."""
    last: dict[Node, Node] = {}
    for number, reference in enumerate(list(references), 1):
        paragraph = next((node for node in reference.iterancestors() if node.tag == qn("w:p")), None)
        text = texts.get(reference.get(qn("w:id")), "")
        if paragraph is None or not text:
            continue
        reference.getparent().replace(reference, _text(f" [{number}]"))
        note = etree.SubElement(paragraph.getparent(), qn("w:p"))
        note.append(_run(f"[{number}] {text}"))
        last.get(paragraph, paragraph).addnext(note)
        last[paragraph] = note


def _run(text: str) -> Node:
    run = _create_element("w:r")
    run.append(_text(text))
    return run


def _text(text: str) -> Node:
    node = _create_element("w:t")
    node.text = text
    node.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    return node


def _create_element(name: str) -> Node:
    return etree.Element(qn(name))


def _parts(document: Document, kind: str) -> list[Part]:
    relations = document.part.rels.values()
    return [one.target_part for one in relations if not one.is_external and one.reltype.endswith(f"/{kind}")]
