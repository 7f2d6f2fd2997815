"""Markdown rule that links the words of an answer that are links in the passages it cites.

A link that the Markdown itself has is a model's: its text stays, its target goes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from cairn.library.links import find_words, host_of
from web.presentation.unsupported_words import CITATION, MARKER, UNSUPPORTED_MARK

LINK_HOST: Final = "link_host"
TextLink = tuple[str, str]
"""The text of a link and its target."""
_SENTENCE_END: Final = re.compile(rf"[.!?…][\"'”’»)\]]*\s+(?=\S)|{MARKER.pattern}")


def link_cited_words(state: StateCore) -> None:
    """Drop links, and link words before a citation as its quote does. `links` has those of each citation."""
    placing = _Placing(state.env.get("links", {}))
    for block in state.tokens:
        placing.enter(block)
        for token in block.children or ():
            placing.take(token)
    placing.close()
    for block in state.tokens:
        if block.children:
            block.children = [part for token in block.children for part in placing.split(token)]


@dataclass(slots=True)
class _Place:
    """A link in a text token."""

    start: int
    end: int
    url: str


@dataclass(slots=True)
class _Placing:
    """`_texts` are the tokens since the last citation, and `_cited` the links of the citations after them.

    Citations belong to the sentence before them; in a quotation and in a row of a table, to all of it.
    """

    links: Mapping[int, Sequence[TextLink]]
    _texts: list[Token] = field(default_factory=list)
    _cited: list[TextLink] = field(default_factory=list)
    _places: dict[int, list[_Place]] = field(default_factory=dict)
    _quotes: int = 0
    _in_row: bool = False
    _whole: bool = False
    _is_cited: bool = False

    def enter(self, block: Token) -> None:
        if block.type == "blockquote_open" and not self._quotes:
            self.close()
        self._quotes += block.nesting if block.type.startswith("blockquote") else 0
        if block.type in ("tr_open", "tr_close"):
            self._in_row = block.nesting > 0
            if not self._quotes:
                self.close()
        if block.children and not (self._quotes or self._in_row):
            cites_above = self._whole and block.children[0].type == CITATION
            if not cites_above:
                self.close()

    def take(self, token: Token) -> None:
        if token.type == CITATION:
            self._cited += self.links.get(token.meta["marker"], ())
            self._is_cited = True
        elif token.type == UNSUPPORTED_MARK:
            self._reset()
        elif token.type == "text" and token.content.strip():
            if self._is_cited:
                self.close()
            self._texts.append(token)
            self._whole = bool(self._quotes) or self._in_row

    def close(self) -> None:
        """Place the links of the citations after the texts, and start again."""
        links = _unambiguous(self._cited)
        for token, start in self._in_scope() if links else ():
            self._places[id(token)] = list(_place(token.content, links, start))
        self._reset()

    def _reset(self) -> None:
        self._texts, self._cited, self._is_cited = [], [], False

    def _in_scope(self) -> Iterator[tuple[Token, int]]:
        """Yield the tokens that are cited, from the last one on, and where the cited text starts in each."""
        for token in reversed(self._texts):
            ends = [] if self._whole else [end.end() for end in _SENTENCE_END.finditer(token.content)]
            yield token, ends[-1] if ends else 0
            if ends:
                return

    def split(self, token: Token) -> Iterator[Token]:
        """Yield the token, or text and links in its place."""
        if token.type in ("link_open", "link_close"):
            return
        at = 0
        for place in self._places.get(id(token), ()):
            text = token.content[place.start : place.end]
            yield _text(token.content[at : place.start])
            yield Token("link_open", "a", 1, attrs={"href": place.url, "target": "_blank"})
            yield _text(text)
            yield Token("link_close", "a", -1)
            if text not in (place.url, host_of(place.url)):
                yield Token(LINK_HOST, "span", 0, content=host_of(place.url))
            at = place.end
        yield token if not at else _text(token.content[at:])


def _unambiguous(cited: Sequence[TextLink]) -> list[TextLink]:
    """Return the links without texts that lead to several targets. Longer texts come first."""
    links = set(cited)
    times = Counter(text for text, _ in links)
    return sorted((link for link in links if times[link[0]] == 1), key=lambda link: (-len(link[0]), link))


def _place(content: str, links: Sequence[TextLink], start: int) -> list[_Place]:
    found: list[_Place] = []
    for text, url in links:
        at = find_words(content, text, start)
        end = at + len(text)
        if at >= 0 and all(end <= other.start or other.end <= at for other in found):
            found.append(_Place(at, end, url))
    return sorted(found, key=lambda place: place.start)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
