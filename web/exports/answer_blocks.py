"""Answers as blocks of plain text runs, for documents such as PDF and Word.

Links and pictures become their text, HTML is shown as it is, and characters that a document cannot contain
are removed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from cairn.hidden_characters import visible

DEEPEST: Final = 5
"""Indentation, however deeply lists are nested."""
WIDEST_TABLE: Final = 6
LONGEST_ROW: Final = 900
"""Characters. A table with more columns, or with a cell longer than its share, is written row by row, because
no page is large enough."""
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
_PARSER.disable("reference")
Kind = Literal["title", "question", "heading", "text", "item", "code", "quote", "note"]


@dataclass(frozen=True, slots=True)
class Run:
    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph. `label`: the bullet or number of a list item."""

    kind: Kind
    runs: tuple[Run, ...]
    level: int = 0
    label: str = ""

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are of equal length; the first is the header."""

    rows: tuple[tuple[str, ...], ...]


def plain_block(kind: Kind, text: str, *, level: int = 0) -> Block:
    return Block(kind, (Run(printable(text)),), level)


def printable(text: str) -> str:
    """Remove characters that a document cannot contain."""
    return _FORBIDDEN.sub(" ", visible(text))


def blocks_of(markdown: str) -> Iterator[Block | Table]:
    """Yield the blocks of an answer."""
    yield from _Reader().read(_PARSER.parse(printable(markdown)))


@dataclass(slots=True)
class _Reader:
    """The open blocks while the tokens are read. `labels`: of the lists, the innermost last."""

    labels: list[int | None] = field(default_factory=list)
    label: str = ""
    quotes: int = 0
    heading: bool = False
    rows: list[list[str]] | None = None

    def read(self, tokens: Sequence[Token]) -> Iterator[Block | Table]:
        for token in tokens:
            match token.type:
                case "inline" if self.rows is not None:
                    self.rows[-1].append("".join(run.text for run in _runs(token.children or ())))
                case "inline":
                    yield self._paragraph(tuple(_runs(token.children or ())))
                case "fence" | "code_block":
                    yield Block("code", (Run(token.content.rstrip("\n"), code=True),), self._level)
                case "table_close":
                    yield from _table(self.rows or [])
                    self.rows = None
                case _:
                    self._enter_or_leave(token)

    def _enter_or_leave(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self.labels.append(None)
            case "ordered_list_open":
                self.labels.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self.labels.pop()
            case "list_item_open":
                self._count_item()
            case "blockquote_open" | "blockquote_close":
                self.quotes += token.nesting
            case "heading_open" | "heading_close":
                self.heading = token.nesting > 0
            case "table_open":
                self.rows = []
            case "tr_open" if self.rows is not None:
                self.rows.append([])

    @property
    def _level(self) -> int:
        return min(len(self.labels), DEEPEST)

    def _count_item(self) -> None:
        number = self.labels[-1]
        self.label = "•" if number is None else f"{number}."
        if number is not None:
            self.labels[-1] = number + 1

    def _paragraph(self, runs: tuple[Run, ...]) -> Block:
        label, self.label = self.label, ""
        if self.labels:
            return Block("item", runs, self._level, label)
        return Block("heading" if self.heading else "quote" if self.quotes else "text", runs)


def _runs(children: Sequence[Token]) -> Iterator[Run]:
    bold = italic = 0
    for token in children:
        match token.type:
            case "strong_open" | "strong_close":
                bold += token.nesting
            case "em_open" | "em_close":
                italic += token.nesting
            case "softbreak":
                yield Run(" ")
            case "hardbreak":
                yield Run("\n")
            case "code_inline":
                yield Run(token.content, code=True)
            case "text" | "text_special" | "image" if token.content:
                yield Run(token.content, bold=bold > 0, italic=italic > 0)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[Block | Table]:
    columns = len(rows[0]) if rows else 0
    if 0 < columns <= WIDEST_TABLE and all(
        len(cell) <= LONGEST_ROW // columns for row in rows for cell in row
    ):
        yield Table(tuple(map(tuple, rows)))
    else:
        for row in rows:
            yield plain_block("text", " | ".join(row))
