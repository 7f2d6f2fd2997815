"""Tells blocks that can answer a question from captions, labels, headings and navigation, which name
something and state nothing."""

import re
from typing import Final

from retrieval.answering.text.blocks import Block, Shape, Span, is_bulleted
from retrieval.types import Hit

MAX_LABEL_WORDS: Final = 7
MAX_CAPTION_WORDS: Final = 25
MIN_LINK_SHARE: Final = 0.8  # of the letters and digits of navigation
_MIN_LINKS: Final = 2
_STATES: Final = re.compile(r"[.!?…:;=][\"”“'’»)\]]*\s*$|\w\s*[:=–—]\s*\S|\d|\w\(|@")
"""A sentence, a value beside its label, a figure, or an address."""
_CAPTION: Final = re.compile(
    r"(?:figure|fig\.|table|photo|image|chart|diagram|abbildung|abb\.|tabelle|tab\.|foto|bild|diagramm)"
    r"\s+[A-Z]?\d+(?:[.-]\d+)*\s*[.:–—-]",
    re.IGNORECASE,
)
_ALPHANUMERIC: Final = re.compile(r"\w")


def is_quotable(hit: Hit, block: Block) -> bool:
    if block.code or block.shape is Shape.TABLE:
        return True
    if len(block.lines) == 1 and not is_bulleted(_read(hit, block.lines[0])):
        line = _read(hit, block.lines[0])
        return not (_is_caption(line) or _is_label(line))
    return not _is_navigation(hit, block)


def _is_caption(line: str) -> bool:
    """Return whether a line titles a figure or table. A sentence about one has more words, or a verb where
    the caption has its colon."""
    return bool(_CAPTION.match(line)) and len(line.split()) <= MAX_CAPTION_WORDS


def _is_label(line: str) -> bool:
    return len(line.split()) <= MAX_LABEL_WORDS and not _STATES.search(line)


def _is_navigation(hit: Hit, block: Block) -> bool:
    """Return whether nearly all of the block is links, and no lead-in says what they are."""
    first, *others = block.lines
    if not others or _read(hit, first).endswith(":"):
        return False
    links = [link for link in hit.links if block.start <= link.start and link.end <= block.end]
    linked = sum(_count(hit, Span(link.start, link.end)) for link in links)
    return len(links) >= _MIN_LINKS and linked >= MIN_LINK_SHARE * _count(hit, Span(block.start, block.end))


def _count(hit: Hit, span: Span) -> int:
    return len(_ALPHANUMERIC.findall(hit.text, span.start, span.end))


def _read(hit: Hit, span: Span) -> str:
    return hit.text[span.start : span.end]
