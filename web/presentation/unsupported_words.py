"""Markdown rule that underlines unsupported words in a flagged answer.

The parser has already read citations and marks, as inline tokens of the types named here.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

CITATION: Final = "citation"
UNSUPPORTED_MARK: Final = "unsupported"
MARKER: Final = re.compile(r"\[(\d{1,3})\]")


def underline_words(state: StateCore) -> None:
    """Underline the words that a mark refers to: from the previous citation or mark on, including the phrase
    that introduces them; in a table row only the last cell.
    """
    for block in state.tokens:
        if block.children and any(token.type == UNSUPPORTED_MARK for token in block.children):
            block.children = _underline_before_marks(block.children)


def _underline_before_marks(tokens: Sequence[Token]) -> list[Token]:
    done: list[Token] = []
    for token in chain.from_iterable(map(_pieces, tokens)):
        if token.type == UNSUPPORTED_MARK:
            start = _first_word(done, token.level)
            done[start:] = _wrap_in_mark(done[start:])
        done.append(token)
    return done


def _first_word(tokens: Sequence[Token], level: int) -> int:
    """Return the index of the first token that a mark of that level refers to; the end if none."""
    start = len(tokens)
    while start and tokens[start - 1].level >= level and not _ends(tokens[start - 1]):
        start -= 1
    while start < len(tokens) and not _may_begin(tokens[start], level):
        start += 1
    return start


def _pieces(token: Token) -> Iterator[Token]:
    """Split a text token into citation numbers and text, where citations are unknown."""
    if token.type != "text":
        yield token
        return
    at = 0
    for number in MARKER.finditer(token.content):
        between = token.content[at : number.start()]
        yield from (_text(piece, token.level) for piece in (between, number[0]) if piece)
        at = number.end()
    if at < len(token.content):
        yield _text(token.content[at:], token.level)


def _ends(token: Token) -> bool:
    return token.type in {CITATION, UNSUPPORTED_MARK} or (
        token.type == "text" and bool(MARKER.fullmatch(token.content))
    )


def _may_begin(token: Token, level: int) -> bool:
    gap = token.type in {"softbreak", "hardbreak"} or (token.type == "text" and not token.content.strip())
    return token.level == level and token.nesting >= 0 and not gap


def _wrap_in_mark(words: list[Token]) -> list[Token]:
    if not words:
        return []
    first, last = words[0], words[-1]
    before = first.content[: len(first.content) - len(first.content.lstrip())] if first.type == "text" else ""
    after = last.content[len(last.content.rstrip()) :] if last.type == "text" else ""
    if before:
        first.content = first.content.lstrip()
    if after:
        last.content = last.content.rstrip()
    begin = Token("unsupported_words_open", "mark", 1, attrs={"class": "unsupported-words"})
    end = Token("unsupported_words_close", "mark", -1)
    return [_text(before, first.level), begin, *words, end, _text(after, last.level)]


def _text(content: str, level: int) -> Token:
    return Token("text", "", 0, content=content, level=level)
