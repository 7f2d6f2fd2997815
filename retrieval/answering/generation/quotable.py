"""Distinguishes blocks that can answer a question from captions, labels, headings and navigation, which name
something but state nothing."""

import re
from itertools import pairwise
from typing import Final

from retrieval.answering.text.blocks import Block, Shape, Span, is_apart, is_bulleted
from retrieval.answering.text.quoted_text import clean_quoted_text
from retrieval.types import Hit

MAX_LABEL_WORDS: Final = 7
MAX_CAPTION_WORDS: Final = 25
MIN_LINK_SHARE: Final = 0.8  # of the letters and digits of navigation
_MIN_LINKS: Final = 2
_STATES: Final = re.compile(r"[.!?…:;=][\"”“'’»)\]]*\s*$|\w\s*[:=–—]\s*\S|\d|\w\(|@")
"""A sentence, a value next to its label, a figure, or an address."""
_SENTENCE_END: Final = re.compile(r"[.!?…][\"”“'’»)\]]*\s*$")
_DIGIT: Final = re.compile(r"\d")
_CAPTION: Final = re.compile(
    r"(?:figure|fig\.|table|photo|image|chart|diagram|abbildung|abb\.|tabelle|tab\.|foto|bild|diagramm)"
    r"\s+[A-Z]?\d+(?:[.-]\d+)*\s*[.:–—-]",
    re.IGNORECASE,
)
_PICTURE: Final = re.compile(
    r"(?:image|photo|picture|screenshot|figure|illustration|logo|bild|foto|abbildung|bildschirmfoto)"
    r"(?:\s*:|\s+(?:of|by|from|courtesy|credit|showing|von|des|der|aus)\b)",
    re.IGNORECASE,
)
"""How the description of a picture without a number begins. It is no sentence."""
_LINK_SEPARATOR: Final = re.compile(r"\s+[|·•»›>→/–—]\s+")  # noqa: RUF001
MIN_ROW_LABELS: Final = 3
MAX_ROW_LABEL_WORDS: Final = 4
_ALPHANUMERIC: Final = re.compile(r"\w")


def is_quotable(hit: Hit, block: Block) -> bool:
    if block.code:
        return True
    if block.shape is Shape.TABLE:
        return not (_is_lone_rows(hit, block) or _is_table_of_links(hit, block))
    if len(block.lines) == 1 and not is_bulleted(_read(hit, block.lines[0])):
        line = clean_quoted_text(_read(hit, block.lines[0]))
        return not (_is_caption(line) or _is_label(line) or _is_row_of_labels(line))
    return not _is_navigation(hit, block)


def _is_caption(line: str) -> bool:
    """Return whether a line titles a figure or table, or describes a picture. A sentence about one has more
    words, or a verb where the caption has its colon."""
    if len(line.split()) > MAX_CAPTION_WORDS:
        return False
    return bool(_CAPTION.match(line) or (_PICTURE.match(line) and not _SENTENCE_END.search(line)))


def _is_row_of_labels(line: str) -> bool:
    """Return whether a line is labels side by side, as links at the top and foot of pages are."""
    labels = _LINK_SEPARATOR.split(line)
    return (
        len(labels) >= MIN_ROW_LABELS
        and all(len(label.split()) <= MAX_ROW_LABEL_WORDS for label in labels)
        and not _STATES.search(labels[-1])
        and not _DIGIT.search(line)
    )


def _is_lone_rows(hit: Hit, block: Block) -> bool:
    """Return whether no two rows are on adjacent lines, as those of a table are."""
    return all(is_apart(hit.text, row, below) for row, below in pairwise(block.lines))


def _is_table_of_links(hit: Hit, block: Block) -> bool:
    """Return whether nearly all of a table is links, with its first row, which would be the header."""
    return all(_is_linked(hit, span) for span in (block.lines[0], Span(block.start, block.end)))


def _is_label(line: str) -> bool:
    return len(line.split()) <= MAX_LABEL_WORDS and not _STATES.search(line)


def _is_navigation(hit: Hit, block: Block) -> bool:
    """Return whether nearly all of the block is links without a lead-in that describes them."""
    first, *others = block.lines
    if not others or _read(hit, first).endswith(":"):
        return False
    return _is_linked(hit, Span(block.start, block.end))


def _is_linked(hit: Hit, span: Span) -> bool:
    links = [link for link in hit.links if span.start <= link.start and link.end <= span.end]
    linked = sum(_count(hit, Span(link.start, link.end)) for link in links)
    return len(links) >= _MIN_LINKS and linked >= MIN_LINK_SHARE * _count(hit, span)


def _count(hit: Hit, span: Span) -> int:
    return len(_ALPHANUMERIC.findall(hit.text, span.start, span.end))


def _read(hit: Hit, span: Span) -> str:
    return hit.text[span.start : span.end]
