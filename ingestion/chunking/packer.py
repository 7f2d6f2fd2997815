"""Pack units into chunks that do not cross sections; paragraphs, lists and tables stay whole if they fit."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cairn.library.rendition import Element
from ingestion.chunking.units import Unit

_LIST: Final = "ListItem"
_TABLE: Final = "Table"
_TITLE: Final = "Title"
_SHORT_LEAD: Final = 40  # tokens
_HEAD_SHARE: Final = 0.4  # of a chunk that a repeated head may take
_HEADER_SHARE: Final = 0.6  # the same for a table's header: rows mean nothing without it
_SCRAP: Final = 30  # tokens; less is joined to the chunk before


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list or table. `head`, such as a table header, is repeated when the body is split.

    `intro` is a lead-in that is too long to be repeated together with the header.
    """

    head: tuple[Unit, ...]
    body: tuple[Unit, ...]
    intro: tuple[Unit, ...] = ()

    @property
    def units(self) -> tuple[Unit, ...]:
        return (*self.intro, *self.head, *self.body)


def cost_of(units: Sequence[Unit]) -> int:
    return sum(unit.cost for unit in units)


def sections(elements: Sequence[Element]) -> Iterator[list[Element]]:
    """Yield the elements between headings. A heading without content is a section of its own."""
    group: list[Element] = []
    for place, element in enumerate(elements):
        if element.category != _TITLE:
            if group and group[0].section != element.section:
                yield group
                group = []
            group.append(element)
            continue
        if group:
            yield group
            group = []
        if _is_bare(element, elements[place + 1 : place + 2]):
            yield [element]
    if group:
        yield group


def _is_bare(heading: Element, following: Sequence[Element]) -> bool:
    path = (*heading.section, heading.text)
    return not following or following[0].section[: len(path)] != path


def blocks(elements: Sequence[Element], units: Mapping[int, list[Unit]], limit: int) -> list[Block]:
    found: list[Block] = []
    place = 0
    while place < len(elements):
        end = max(_list_end(elements, place), place + 1)
        lead = _take_lead_in(found, elements[place - 1 : place + 1] if place else (), limit)
        body = [unit for element in elements[place:end] for unit in units[element.index]]
        header = _header(elements[place], body)
        found.append(_block(lead, header, body, limit))
        place = end
    return found


def _block(lead: Sequence[Unit], header: Sequence[Unit], body: Sequence[Unit], limit: int) -> Block:
    """Build a block. `body` begins with `header`, which is not repeated if it would fill most of each
    chunk.
    """
    if cost_of(lead) + cost_of(header) <= limit * _HEAD_SHARE:
        return Block((*lead, *header), tuple(body[len(header) :]))
    if cost_of(header) <= limit * _HEADER_SHARE:
        return Block(tuple(header), tuple(body[len(header) :]), intro=tuple(lead))
    return Block(tuple(lead), tuple(body))


def _list_end(elements: Sequence[Element], place: int) -> int:
    while place < len(elements) and elements[place].category == _LIST:
        place += 1
    return place


def _take_lead_in(found: list[Block], pair: Sequence[Element], limit: int) -> tuple[Unit, ...]:
    """Take the introduction of a list or table from the previous block: the paragraph or its last
    sentence.
    """
    if (
        len(pair) < 2
        or pair[1].category not in (_LIST, _TABLE)
        or pair[0].category in (_LIST, _TABLE, _TITLE)
    ):
        return ()
    before = found.pop()
    announces = pair[0].text.endswith(":")
    if announces or (pair[1].category == _LIST and cost_of(before.units) <= _SHORT_LEAD):
        if cost_of(before.units) <= limit * _HEAD_SHARE:
            return before.body
        if announces and before.body[-1].cost <= limit * _HEAD_SHARE:
            found.append(Block((), before.body[:-1]))
            return before.body[-1:]
    found.append(before)
    return ()


def header_end(element: Element) -> int:
    """Return the end of a table's header in its text; 0 without one."""
    if element.category != _TABLE or not element.header_rows:
        return 0
    end = 0
    for _ in range(element.header_rows):
        end = element.text.find("\n", end) + 1 or len(element.text) + 1
    return end


def _header(element: Element, units: Sequence[Unit]) -> list[Unit]:
    end = header_end(element)
    head = [unit for unit in units if unit.start < end]
    return head if len(head) < len(units) else []


def pack(found: Sequence[Block], limit: int, most: int) -> list[list[Unit]]:
    """Pack blocks into chunks of about `limit` tokens, or up to `most` to avoid a tiny last chunk."""
    packing = _Packing(limit)
    for block in found:
        packing.put(block)
    return _without_scrap([chunk for chunk in packing.chunks if chunk], most)


class _Packing:
    """Chunks built so far. `cost` is that of the last one, `head` that of its last block."""

    def __init__(self, limit: int) -> None:
        self.chunks: list[list[Unit]] = [[]]
        self.cost = 0
        self._limit = limit
        self._head = ""

    def put(self, block: Block) -> None:
        goes_on = _is_table(block) and _text_of(block.head) == self._head
        units = block.body if goes_on and not block.intro else block.units
        if self.cost + cost_of(units) <= self._limit:
            self._add(units)
        elif cost_of(block.units) <= self._limit:
            self._open(block.units)
        else:
            self._put_parts(block)
        self._head = _text_of(block.head)

    def _add(self, units: Sequence[Unit]) -> None:
        self.chunks[-1].extend(units)
        self.cost += cost_of(units)

    def _open(self, units: Sequence[Unit]) -> None:
        self.chunks.append(list(units))
        self.cost = cost_of(units)

    def _put_parts(self, block: Block) -> None:
        """Split a block into parts of similar size, each with the head."""
        head, body = cost_of(block.head), cost_of(block.body)
        if block.head or self.cost > self._limit // 2:
            self._open(block.intro)
        parts = math.ceil((body + self.cost) / (self._limit - head))
        goal = head + math.ceil(body / parts)
        self._add(block.head)
        for unit in block.body:
            full = self.cost + unit.cost > self._limit
            if full or (self.cost >= goal and len(self.chunks[-1]) > len(block.head)):
                carried = self._pop_announcement(block, unit)
                self._open((*block.head, *carried))
            self._add((unit,))

    def _pop_announcement(self, block: Block, following: Unit) -> list[Unit]:
        """Move an item that announces the following ones along with them."""
        chunk = self.chunks[-1]
        last = chunk[-1]
        fits = cost_of(block.head) + last.cost + following.cost <= self._limit
        if last in block.head or len(chunk) < 2 or not last.text.endswith(":") or not fits:
            return []
        return [chunk.pop()]


def _text_of(units: Sequence[Unit]) -> str:
    return "\n".join(unit.text for unit in units)


def _is_table(block: Block) -> bool:
    return bool(block.head) and all(_is_header(unit) for unit in block.head)


def _without_scrap(chunks: list[list[Unit]], most: int) -> list[list[Unit]]:
    if len(chunks) < 2 or cost_of(chunks[-1]) >= _SCRAP:
        return chunks
    before, scrap = chunks[-2], _new_to(chunks[-2], chunks[-1])
    if cost_of(before) + cost_of(scrap) > most:
        return chunks
    return [*chunks[:-2], [*before, *scrap]]


def _new_to(before: Sequence[Unit], units: Sequence[Unit]) -> list[Unit]:
    """Return the units without heads that the previous chunk contains."""
    headers = {unit.text for unit in before if _is_header(unit)}
    return [unit for unit in units if unit not in before and not (_is_header(unit) and unit.text in headers)]


def _is_header(unit: Unit) -> bool:
    return unit.start < header_end(unit.element)
