"""Positions of links in the text of an element, which parsers return without markup."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from cairn.library.links import Link, find_words, pretends_another_host, safe_url
from ingestion.parse.text.cleaning import clean

_MAX_PER_ELEMENT: Final = 200
_MAX_MISSES: Final = 20
_MAX_TEXT_CHARACTERS: Final = 300
_BLANKS: Final = str.maketrans("\n\t\f", "   ")


class Anchor(NamedTuple):
    """A link in a file: its text, and its target, which may be anything."""

    text: str
    target: str


def locate_anchors(text: str, anchors: Sequence[Anchor]) -> tuple[Link, ...]:
    """Return the links with safe targets, each at the first place of its text after the previous link.

    Adjacent links with the same target are one: a file has one for each line or change of font.
    """
    links: list[Link] = []
    for link in _locate(text.translate(_BLANKS), anchors):
        if links and links[-1].url == link.url and not text[links[-1].end : link.start].strip():
            links[-1] = links[-1]._replace(end=link.end)
        else:
            links.append(link)
    return tuple(links)


def _locate(text: str, anchors: Sequence[Anchor]) -> Iterator[Link]:
    end = misses = 0
    for anchor in islice(anchors, _MAX_PER_ELEMENT):
        phrase = " ".join(clean(anchor.text[: 2 * _MAX_TEXT_CHARACTERS]).split())
        url = safe_url(anchor.target)
        if url is None or not 0 < len(phrase) <= _MAX_TEXT_CHARACTERS or misses > _MAX_MISSES:
            continue
        if pretends_another_host(phrase, url):
            continue
        start = find_words(text, phrase, end)
        start = text.find(phrase, end) if start < 0 else start
        if start < 0:
            misses += 1
            continue
        end = start + len(phrase)
        yield Link(start, end, url)
