"""Cuts a chunk into blocks that stand by themselves: a paragraph, a list with its lead-in, a table.

The text of a chunk is its elements: items of a list on lines under each other and under what leads them in,
other elements after a blank line. A table has a line per row, its cells joined by " | ".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from retrieval.answering.sentences import split

CELLS = " | "
LONGEST_ITEM = 300
_LINE = re.compile(r"[^\n]+")
_BULLET = re.compile(r"\s*(?:[-*+•‣◦]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+")


class Shape(StrEnum):
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text, by its offsets."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """`lines` are the paragraphs, items or rows in it."""

    shape: Shape
    lines: tuple[Span, ...]

    @property
    def start(self) -> int:
        return self.lines[0].start

    @property
    def end(self) -> int:
        return self.lines[-1].end


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    for line in _lines(text):
        shape = _shape(text, line)
        if found and _belongs(text, found[-1], line, shape):
            joined = _joined(text, found[-1], line, shape)
            found[-1] = replace(found[-1], shape=joined, lines=(*found[-1].lines, line))
        else:
            found.append(Block(shape, (line,)))
    return found


def sentences_in(text: str, block: Block) -> Iterator[Span]:
    """The smallest pieces worth quoting: rows of a table, else sentences."""
    for line in block.lines:
        if block.shape is Shape.TABLE:
            yield line
        else:
            for unit in split(text[line.start : line.end]):
                yield Span(line.start + unit.start, line.start + unit.end)


def strip_bullet(line: str) -> str:
    match = _BULLET.match(line)
    return line[match.end() :] if match else line


def is_bulleted(line: str) -> bool:
    return _BULLET.match(line) is not None


def _lines(text: str) -> Iterator[Span]:
    for match in _LINE.finditer(text):
        line = match.group()
        start = match.start() + len(line) - len(line.lstrip())
        if line.strip():
            yield Span(start, start + len(line.strip()))


def _shape(text: str, line: Span) -> Shape:
    written = text[line.start : line.end]
    if CELLS in written or written.startswith("|"):
        return Shape.TABLE
    return Shape.LIST if is_bulleted(written) else Shape.PARAGRAPH


def _belongs(text: str, block: Block, line: Span, shape: Shape) -> bool:
    """Elements of one list follow each other directly; between others is a blank line."""
    if (block.shape is Shape.TABLE) != (shape is Shape.TABLE):
        return False
    last = block.lines[-1]
    if "\n" not in text[last.end : line.start].replace("\n", "", 1):
        return True
    if shape is not Shape.PARAGRAPH:
        return block.shape is shape or text[last.end - 1] == ":"
    return _goes_on(text, block, line)


def _goes_on(text: str, block: Block, line: Span) -> bool:
    """After a lead-in, paragraphs are items whose bullets the parser took away, while they are short."""
    written = text[line.start : line.end]
    if text[block.end - 1] == ":":
        return True
    led = text[block.lines[0].end - 1] == ":" and len(block.lines) > 1
    bare = not any(is_bulleted(text[item.start : item.end]) for item in block.lines)
    return led and bare and len(written) <= LONGEST_ITEM and not written.endswith(":")


def _joined(text: str, block: Block, line: Span, shape: Shape) -> Shape:
    """A wrapped paragraph stays one, a command goes on after a backslash; other lines are a list."""
    if block.shape is Shape.PARAGRAPH and text[block.end - 1] == "\\":
        return Shape.CODE
    wrapped = text[line.start].islower() and text[block.end - 1] not in ".!?:"
    if block.shape is Shape.PARAGRAPH and shape is Shape.PARAGRAPH and wrapped:
        return Shape.PARAGRAPH
    return Shape.LIST if block.shape is Shape.PARAGRAPH else block.shape
