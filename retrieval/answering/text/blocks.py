"""Splits a chunk into self-contained blocks: a paragraph, a list with its lead-in, a table.

A chunk's text consists of elements: list items on consecutive lines below their lead-in, other elements
separated by a blank line. A table has a line per row, its cells joined by " | ".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from retrieval.answering.text.sentences import split_sentences

CELL_SEPARATOR = " | "
MAX_ITEM_CHARACTERS = 300
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
    """A block of a chunk. `lines` are its paragraphs, items or rows."""

    shape: Shape
    lines: tuple[Span, ...]

    @property
    def start(self) -> int:
        return self.lines[0].start

    @property
    def end(self) -> int:
        return self.lines[-1].end


def split_blocks(text: str) -> list[Block]:
    found: list[Block] = []
    for line in _find_lines(text):
        shape = _shape(text, line)
        if found and _belongs(text, found[-1], line, shape):
            joined = _merge_shape(text, found[-1], line, shape)
            found[-1] = replace(found[-1], shape=joined, lines=(*found[-1].lines, line))
        else:
            found.append(Block(shape, (line,)))
    return found


def sentences_in(text: str, block: Block) -> Iterator[Span]:
    """Yield the smallest pieces worth quoting: rows of a table, else sentences."""
    for line in block.lines:
        if block.shape is Shape.TABLE:
            yield line
        else:
            for unit in split_sentences(text[line.start : line.end]):
                yield Span(line.start + unit.start, line.start + unit.end)


def strip_bullet(line: str) -> str:
    match = _BULLET.match(line)
    return line[match.end() :] if match else line


def is_bulleted(line: str) -> bool:
    return _BULLET.match(line) is not None


def _find_lines(text: str) -> Iterator[Span]:
    for match in _LINE.finditer(text):
        line = match.group()
        start = match.start() + len(line) - len(line.lstrip())
        if line.strip():
            yield Span(start, start + len(line.strip()))


def _shape(text: str, line: Span) -> Shape:
    written = text[line.start : line.end]
    if CELL_SEPARATOR in written or written.startswith("|"):
        return Shape.TABLE
    return Shape.LIST if is_bulleted(written) else Shape.PARAGRAPH


def _belongs(text: str, block: Block, line: Span, shape: Shape) -> bool:
    """Return whether a line continues the block. List elements are on adjacent lines, others follow a blank
    line."""
    if (block.shape is Shape.TABLE) != (shape is Shape.TABLE):
        return False
    last = block.lines[-1]
    if not _is_apart(text, last, line):
        return True
    if shape is not Shape.PARAGRAPH:
        return block.shape is shape or text[last.end - 1] == ":"
    return _continues_list(text, block, line)


def _is_apart(text: str, earlier: Span, later: Span) -> bool:
    """Return whether there is a blank line between two lines."""
    return text[earlier.end : later.start].count("\n") > 1


def _continues_list(text: str, block: Block, line: Span) -> bool:
    """Return whether a paragraph is a list item without its bullet: short paragraphs after a lead-in are,
    unless the items before it are on adjacent lines, as those of a list are."""
    written = text[line.start : line.end]
    if text[block.end - 1] == ":":
        return True
    if len(block.lines) > 1 and not _is_apart(text, block.lines[-2], block.lines[-1]):
        return False
    led = text[block.lines[0].end - 1] == ":" and len(block.lines) > 1
    bare = not any(is_bulleted(text[item.start : item.end]) for item in block.lines)
    return led and bare and len(written) <= MAX_ITEM_CHARACTERS and not written.endswith(":")


def _merge_shape(text: str, block: Block, line: Span, shape: Shape) -> Shape:
    """Return the block's shape with the new line: wrapped lines stay a paragraph, a backslash continues code,
    other lines form a list."""
    if block.shape is Shape.PARAGRAPH and text[block.end - 1] == "\\":
        return Shape.CODE
    wrapped = text[line.start].islower() and text[block.end - 1] not in ".!?:"
    if block.shape is Shape.PARAGRAPH and shape is Shape.PARAGRAPH and wrapped:
        return Shape.PARAGRAPH
    return Shape.LIST if block.shape is Shape.PARAGRAPH else block.shape
