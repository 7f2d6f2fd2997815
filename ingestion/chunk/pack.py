"""Units into chunks: paragraphs, lists and tables whole where they fit, and never across a section."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cairn.library.rendition import Element
from ingestion.chunk.units import Unit

_LIST: Final = "ListItem"
_TABLE: Final = "Table"
_TITLE: Final = "Title"
_SHORT_LEAD: Final = 40  # tokens
_HEAD_SHARE: Final = 0.4  # of a chunk that a repeated head may take
_SCRAP: Final = 30  # tokens; less is joined to the chunk before


@dataclass(frozen=True, slots=True)
class Block:
    """What reads as one: `head` (a table's header, a list's lead-in) is repeated when the body is cut."""

    head: tuple[Unit, ...]
    body: tuple[Unit, ...]

    @property
    def cost(self) -> int:
        return cost_of(self.head) + cost_of(self.body)


def cost_of(units: Sequence[Unit]) -> int:
    return sum(unit.cost for unit in units)


def sections(elements: Sequence[Element]) -> Iterator[list[Element]]:
    """Elements between headings. A heading with nothing under it stands for itself."""
    group: list[Element] = []
    for place, element in enumerate(elements):
        if element.category != _TITLE:
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
        head = _header(elements[place], body)
        if cost_of(lead) + cost_of(head) > limit * _HEAD_SHARE:
            head = []
        found.append(Block((*lead, *head), tuple(body[len(head) :])))
        place = end
    return found


def _list_end(elements: Sequence[Element], place: int) -> int:
    while place < len(elements) and elements[place].category == _LIST:
        place += 1
    return place


def _take_lead_in(found: list[Block], pair: Sequence[Element], limit: int) -> tuple[Unit, ...]:
    """Takes from the block before what introduces a list or table: the paragraph, or its last sentence."""
    if (
        len(pair) < 2
        or pair[1].category not in (_LIST, _TABLE)
        or pair[0].category in (_LIST, _TABLE, _TITLE)
    ):
        return ()
    before = found.pop()
    announces = pair[0].text.endswith(":")
    if announces or (pair[1].category == _LIST and before.cost <= _SHORT_LEAD):
        if before.cost <= limit * _HEAD_SHARE:
            return before.body
        if announces and before.body[-1].cost <= limit * _HEAD_SHARE:
            found.append(Block((), before.body[:-1]))
            return before.body[-1:]
    found.append(before)
    return ()


def _header(element: Element, units: Sequence[Unit]) -> list[Unit]:
    if element.category != _TABLE or not element.header_rows:
        return []
    end = sum(len(line) + 1 for line in element.text.split("\n")[: element.header_rows])
    head = [unit for unit in units if unit.start < end]
    return head if len(head) < len(units) else []


def pack(found: Sequence[Block], limit: int, most: int) -> list[list[Unit]]:
    """Chunks of about `limit` tokens; up to `most` when that saves a scrap."""
    chunks: list[list[Unit]] = [[]]
    for block in found:
        if cost_of(chunks[-1]) + block.cost <= limit:
            chunks[-1].extend((*block.head, *block.body))
        elif block.cost <= limit:
            chunks.append([*block.head, *block.body])
        else:
            _pack_parts(chunks, block, limit)
    return _without_scrap([chunk for chunk in chunks if chunk], most)


def _pack_parts(chunks: list[list[Unit]], block: Block, limit: int) -> None:
    """Cuts a block into parts of like size, each under the head."""
    head = cost_of(block.head)
    body = cost_of(block.body)
    if block.head or cost_of(chunks[-1]) > limit // 2:
        chunks.append([])
    parts = math.ceil((body + cost_of(chunks[-1])) / (limit - head))
    goal = head + math.ceil(body / parts)
    chunks[-1].extend(block.head)
    for unit in block.body:
        cost = cost_of(chunks[-1])
        if cost + unit.cost > limit or (cost >= goal and len(chunks[-1]) > len(block.head)):
            chunks.append([*block.head, *_carried(chunks[-1], block, unit, limit)])
        chunks[-1].append(unit)


def _carried(chunk: list[Unit], block: Block, following: Unit, limit: int) -> list[Unit]:
    """An item that announces others goes with them."""
    last = chunk[-1]
    fits = cost_of(block.head) + last.cost + following.cost <= limit
    if last in block.head or len(chunk) < 2 or not last.text.endswith(":") or not fits:
        return []
    return [chunk.pop()]


def _without_scrap(chunks: list[list[Unit]], most: int) -> list[list[Unit]]:
    if len(chunks) < 2 or cost_of(chunks[-1]) >= _SCRAP:
        return chunks
    before, scrap = chunks[-2], [unit for unit in chunks[-1] if unit not in chunks[-2]]
    if cost_of(before) + cost_of(scrap) > most:
        return chunks
    return [*chunks[:-2], [*before, *scrap]]
