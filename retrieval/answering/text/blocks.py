"""Splits a chunk into self-contained blocks: a paragraph, a list or code with its lead-in, a table.

A chunk's text consists of elements: list items on consecutive lines below their lead-in, other elements
separated by a blank line. A table has a line per row, its cells joined by " | ".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from retrieval.answering.text.code_lines import find_code
from retrieval.answering.text.list_levels import read_number
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
    """A block of a chunk. `lines` are its paragraphs, items, rows and pieces of code; the latter are also in
    `code`. A block of shape CODE may begin with a lead-in, and a LIST may have code below its items."""

    shape: Shape
    lines: tuple[Span, ...]
    code: tuple[Span, ...] = ()

    @property
    def start(self) -> int:
        return self.lines[0].start

    @property
    def end(self) -> int:
        return self.lines[-1].end


def split_blocks(text: str, code: Sequence[tuple[int, int]] | None = None) -> list[Block]:
    """Split a text. `code`: where its code is; None if that is unknown."""
    found: list[Block] = []
    for line, is_code in _find_lines(text, find_code(text) if code is None else code):
        shape = Shape.CODE if is_code else _shape(text, line)
        marked = (line,) if is_code else ()
        if not is_code and _resumes_list(text, found, line):
            paragraph = found.pop()
            found[-1] = Block(Shape.LIST, (*found[-1].lines, *paragraph.lines, line), found[-1].code)
        elif found and _belongs(text, found[-1], line, shape):
            block = found[-1]
            joined = _merge_shape(text, block, line, shape)
            found[-1] = Block(joined, (*block.lines, line), (*block.code, *marked))
        else:
            found.append(Block(shape, (line,), marked))
    return found


def continues_item(text: str, block: Block, at: int) -> bool:
    """Return whether a line is another paragraph of the numbered item above it."""
    line = block.lines[at]
    if at == 0 or is_bulleted(_read(text, line)) or not is_apart(text, block.lines[at - 1], line):
        return False
    return any(read_number(_read(text, earlier)) for earlier in block.lines[:at])


def sentences_in(text: str, block: Block) -> Iterator[Span]:
    """Yield the smallest pieces worth quoting: rows of a table, else sentences."""
    for line in block.lines:
        if block.shape is Shape.TABLE:
            yield line
            continue
        for part in _split_lines(text, line.start, line.end) if line in block.code else (line,):
            for unit in split_sentences(text[part.start : part.end]):
                yield Span(part.start + unit.start, part.start + unit.end)


def strip_bullet(line: str) -> str:
    match = _BULLET.match(line)
    return line[match.end() :] if match else line


def is_bulleted(line: str) -> bool:
    return _BULLET.match(line) is not None


def _find_lines(text: str, code: Sequence[tuple[int, int]]) -> Iterator[tuple[Span, bool]]:
    """Yield lines, and each piece of code as a whole. The flag is true for code."""
    at = 0
    for start, end in sorted(code):
        if not at <= start < end <= len(text):  # of another text
            continue
        yield from ((line, False) for line in _split_lines(text, at, start))
        yield Span(start, end), True
        at = end
    yield from ((line, False) for line in _split_lines(text, at, len(text)))


def _split_lines(text: str, start: int, end: int) -> Iterator[Span]:
    for match in _LINE.finditer(text, start, end):
        line = match.group()
        begin = match.start() + len(line) - len(line.lstrip())
        if line.strip():
            yield Span(begin, begin + len(line.strip()))


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
    if shape is Shape.CODE:
        return _introduces_code(text, block)
    last = block.lines[-1]
    if block.code:
        return block.shape is Shape.LIST and (shape is Shape.LIST or not is_apart(text, last, line))
    if not is_apart(text, last, line):
        return True
    if shape is not Shape.PARAGRAPH:
        return block.shape is shape or text[last.end - 1] == ":"
    return _continues_list(text, block, line)


def _introduces_code(text: str, block: Block) -> bool:
    """Return whether code belongs to the block before it: to other code, to a list's item, or to a lead-in,
    which any short paragraph is."""
    last = block.lines[-1]
    if last in block.code or text[last.end - 1] == ":":
        return True
    if block.shape is Shape.LIST:
        return is_bulleted(text[last.start : last.end])
    return block.end - block.start <= MAX_ITEM_CHARACTERS


def _resumes_list(text: str, found: Sequence[Block], line: Span) -> bool:
    """Return whether the next item of a numbered list follows a paragraph, which then belongs to the list."""
    number = read_number(_read(text, line))
    if number < 2 or len(found) < 2:
        return False
    before, paragraph = found[-2:]
    is_single = paragraph.shape is Shape.PARAGRAPH and len(paragraph.lines) == 1
    if not is_single or before.shape is not Shape.LIST or is_apart(text, paragraph.lines[0], line):
        return False
    numbers = [known for each in before.lines if (known := read_number(_read(text, each)))]
    return paragraph.end - paragraph.start <= MAX_ITEM_CHARACTERS and numbers[-1:] == [number - 1]


def _read(text: str, span: Span) -> str:
    return text[span.start : span.end]


def is_apart(text: str, earlier: Span, later: Span) -> bool:
    """Return whether there is a blank line between two lines."""
    return text[earlier.end : later.start].count("\n") > 1


def _continues_list(text: str, block: Block, line: Span) -> bool:
    """Return whether a paragraph is a list item without its bullet: short paragraphs after a lead-in are,
    unless the items before it are on adjacent lines, as those of a list are."""
    written = text[line.start : line.end]
    if text[block.end - 1] == ":":
        return True
    if len(block.lines) > 1 and not is_apart(text, block.lines[-2], block.lines[-1]):
        return False
    led = text[block.lines[0].end - 1] == ":" and len(block.lines) > 1
    bare = not any(is_bulleted(text[item.start : item.end]) for item in block.lines)
    return led and bare and len(written) <= MAX_ITEM_CHARACTERS and not written.endswith(":")


def _merge_shape(text: str, block: Block, line: Span, shape: Shape) -> Shape:
    """Return the block's shape with the new line: wrapped lines stay a paragraph, code below a paragraph is
    code with a lead-in, other lines form a list."""
    if shape is Shape.CODE and block.shape is Shape.PARAGRAPH:
        return Shape.CODE
    wrapped = text[line.start].islower() and text[block.end - 1] not in ".!?:"
    if block.shape is Shape.PARAGRAPH and shape is Shape.PARAGRAPH and wrapped:
        return Shape.PARAGRAPH
    return Shape.LIST if block.shape is Shape.PARAGRAPH else block.shape
