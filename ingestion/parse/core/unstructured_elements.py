"""Conversion of unstructured's elements, and the only place that keeps unstructured offline.

unstructured classifies sentences with a spaCy model that it would download. A blank English pipeline with
a sentence splitter gives the same elements, titles, lists and tables.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import spacy
from lxml import etree, html
from spacy.language import Language
from unstructured.documents.elements import Element, Footer, Header, ListItem, PageBreak, Table, Text, Title
from unstructured.nlp import tokenize
from unstructured.partition.html import parser

from ingestion.parse.core import html_tables
from ingestion.parse.core.anchors import Anchor
from ingestion.parse.core.rendition_builder import LIST_ITEM, TABLE, RenditionBuilder
from ingestion.parse.text import narrative_text

_BELOW_HEADINGS: Final = 9
_LONGEST_BOLD_LINE: Final = 100
_BULLET_ROW: Final = re.compile(r"[•▪●■◦‣∙·○□–—*-] \| ([^\n|]+)")
_BOLD: Final = frozenset(("b", "bi"))
_DROPPED: Final = (Header, Footer, PageBreak)


def blank_english() -> Language:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    return pipeline


tokenize._load_spacy_model = blank_english
parser.is_possible_narrative_text = narrative_text.is_narrative  # type: ignore[attr-defined, assignment]  # of text alone


def collect(
    elements: Iterable[Element],
    builder: RenditionBuilder,
    *,
    first_row_is_header: bool,
    table_anchors: Sequence[Sequence[Anchor]] = (),
) -> None:
    """Add the elements. `table_anchors` has the links of each table, which unstructured does not return."""
    found = list(elements)
    tables = sum(isinstance(element, Table) for element in found)
    in_tables = iter(table_anchors if len(table_anchors) == tables else [()] * tables)
    for element in found:
        if isinstance(element, _DROPPED):
            continue
        if isinstance(element, Table):
            _table(element, builder, next(in_tables), first_row_is_header=first_row_is_header)
            continue
        anchors = list(_anchors(element))
        if isinstance(element, Title):
            builder.heading(element.metadata.category_depth or 0, element.text, anchors=anchors)
        elif _is_bold_line(element):
            builder.heading(_BELOW_HEADINGS, element.text, anchors=anchors)
        else:
            builder.add(element.category, element.text, anchors=anchors)


def _anchors(element: Element) -> Iterator[Anchor]:
    texts, targets = element.metadata.link_texts or (), element.metadata.link_urls or ()
    return map(Anchor, texts, targets)


def _is_bold_line(element: Element) -> bool:
    """Return whether a bold line may be a heading."""
    text = element.text
    if not isinstance(element, Text) or isinstance(element, ListItem) or len(text) > _LONGEST_BOLD_LINE:
        return False
    contents = element.metadata.emphasized_text_contents or []
    tags = element.metadata.emphasized_text_tags or []
    bold = "".join(part for part, tag in zip(contents, tags, strict=False) if tag in _BOLD)
    return "".join(bold.split()) == "".join(text.split()) and text[0] != "(" and text[-1] not in ".:;,!?"


def _table(
    element: Table, builder: RenditionBuilder, anchors: Sequence[Anchor], *, first_row_is_header: bool
) -> None:
    text, header_rows = html_tables.read(_parse_table(element.metadata.text_as_html or "<table/>"))
    if found := _BULLET_ROW.fullmatch(text):
        builder.add(LIST_ITEM, found.group(1), anchors=anchors)
        return
    if first_row_is_header and not header_rows and "\n" in text:
        header_rows = 1
    builder.add(TABLE, text or element.text, header_rows=header_rows, anchors=anchors)


def _parse_table(table: str) -> etree._Element:
    parsed: etree._Element = html.fragment_fromstring(table)
    return parsed
