"""Completes a quoted list that was cut at the end of a passage with its items in the passages around it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retrieval.answering.generation.extractive import Extract, quote_list
from retrieval.answering.protocols import LoadPassage
from retrieval.answering.text.blocks import Block, Shape, is_bulleted, split_blocks
from retrieval.types import Hit

MAX_PASSAGES: Final = 12  # in each direction


@dataclass(frozen=True, slots=True)
class _Part:
    """A list, or the part of one that a passage has."""

    hit: Hit
    block: Block

    @property
    def has_lead(self) -> bool:
        return bool(self.lead)

    @property
    def lead(self) -> str:
        """The lead-in: a first line that ends with a colon, or that alone has no bullet."""
        first, *others = self._lines
        leads = first.endswith(":") or (not is_bulleted(first) and any(map(is_bulleted, others)))
        return first if leads else ""

    @property
    def is_led_or_bulleted(self) -> bool:
        return self.has_lead or is_bulleted(self._lines[0])

    @property
    def _lines(self) -> list[str]:
        return [self.hit.text[line.start : line.end] for line in self.block.lines]

    def is_at_edge(self, step: int) -> bool:
        return bool(self.block == split_blocks(self.hit.text, self.hit.code)[-1 if step > 0 else 0])


def complete_list(extracts: Sequence[Extract], load: LoadPassage) -> list[Extract]:
    """Return the quotes; if the best one is part of a list, the whole list in its place, in order."""
    best = _find_list(extracts[0]) if extracts else None
    if best is None:
        return list(extracts)
    parts = [
        *reversed(list(_find_adjacent_parts(best, load, -1))),
        best,
        *_find_adjacent_parts(best, load, 1),
    ]
    if len(parts) == 1:
        return list(extracts)
    whole = [quote_list(part.hit, part.block, with_lead=at == 0) for at, part in enumerate(parts)]
    quoted = {part.hit.chunk for part in parts}
    return [*whole, *(extract for extract in extracts if extract.hit.chunk not in quoted)]


def _find_list(extract: Extract) -> _Part | None:
    """Return the list that is quoted, None if it is something else."""
    parts = (_Part(extract.hit, block) for block in split_blocks(extract.hit.text, extract.hit.code))
    lists = (part for part in parts if part.block.shape is Shape.LIST and not part.block.code)
    return next((part for part in lists if _read(part) == extract.quote), None)


def _read(part: _Part) -> str:
    return part.hit.text[part.block.start : part.block.end]


def _find_adjacent_parts(part: _Part, load: LoadPassage, step: int) -> Iterator[_Part]:
    """Yield the parts in the passages after or before, as long as each reaches to the edge of its own."""
    for _ in range(MAX_PASSAGES):
        if not part.is_at_edge(step):
            return
        neighbour = load(part.hit.version, part.hit.ordinal + step)
        other = _find_part_at_edge(neighbour, part, step) if neighbour else None
        if other is None:
            return
        part = other
        yield part


def _find_part_at_edge(neighbour: Hit, part: _Part, step: int) -> _Part | None:
    """Return the list where the neighbour touches the part if it is the same one. A list that is cut has its
    lead-in in each passage, unless that is long."""
    if neighbour.section != part.hit.section:
        return None
    blocks = split_blocks(neighbour.text, neighbour.code)
    found = _Part(neighbour, blocks[0 if step > 0 else -1])
    if found.block.shape is not Shape.LIST or found.block.code or not found.is_led_or_bulleted:
        return None
    earlier, later = (part, found) if step > 0 else (found, part)
    return found if later.lead in {"", earlier.lead} and earlier.is_led_or_bulleted else None
