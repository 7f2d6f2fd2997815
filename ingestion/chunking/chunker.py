"""Split a rendition into chunks, the unit that is embedded, retrieved, displayed and cited."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cairn.library.cell_ranges import CellLine, on_sheet
from cairn.library.links import MAX_LINKS_PER_PASSAGE, Link, links_between
from cairn.library.rendition import Element, Rendition
from ingestion.chunking.breadcrumbs import Path, fit_lines, full_lines, with_context
from ingestion.chunking.packer import blocks, pack, sections
from ingestion.chunking.units import CountTokens, Unit, add_costs, affordable, by_element, cut

_TARGET: Final = 200
_CONTEXT_SHARE: Final = 3  # at most a third of the window
_SMALLEST: Final = 16
_NARROWER: Final = (1.0, 0.75, 0.5, 0.25)
_CLOSE: Final = frozenset(("ListItem", "CodeSnippet"))
_TABLE: Final = "Table"
_CODE: Final = "CodeSnippet"


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A chunk before it is saved.

    `text` is made of the texts of `elements`, verbatim. `tokens` counts those of `embedding_text`. `cells`
    has the location in the sheet for each line of `text`, and is empty for elements without cells. `links`
    are in `text`. `code` has start and end of each piece of code in it.
    """

    ordinal: int
    text: str
    context: str
    section: tuple[str, ...]
    page: int | None
    elements: tuple[int, ...]
    tokens: int
    cells: tuple[CellLine, ...] = ()
    links: tuple[Link, ...] = ()
    code: tuple[tuple[int, int], ...] = ()

    @property
    def embedding_text(self) -> str:
        return with_context(self.context, self.text)


def chunk(
    rendition: Rendition, *, title: str, count_tokens: CountTokens, max_tokens: int
) -> list[ChunkDraft]:
    """Split a rendition so that each draft's embedding text fits `max_tokens` as `count_tokens` counts.

    Each text is counted once; those near the limit are counted a second time as a whole.
    """
    window = max(max_tokens, _SMALLEST)
    drafts: list[ChunkDraft] = []
    for share in _NARROWER:  # costs add up exactly for most tokenizers, nearly for the rest
        drafts = _recount(
            list(_drafts(rendition, title, count_tokens, int(window * share))), count_tokens, window
        )
        if all(draft.tokens <= window for draft in drafts):
            break
    return drafts


def _recount(drafts: list[ChunkDraft], count_tokens: CountTokens, most: int) -> list[ChunkDraft]:
    near = [draft for draft in drafts if draft.tokens > most]
    counts = iter(count_tokens([draft.embedding_text for draft in near]) if near else [])
    return [replace(draft, tokens=next(counts)) if draft.tokens > most else draft for draft in drafts]


def _drafts(rendition: Rendition, title: str, count_tokens: CountTokens, window: int) -> Iterator[ChunkDraft]:
    groups = list(sections(rendition.elements))
    lines, units, limit = _measure_groups(groups, title, count_tokens, window)
    ordinal = 0
    for group in groups:
        context, cost = lines[group[0].section]
        for members in pack(blocks(group, units, limit), limit, window - cost):
            yield _draft(ordinal, members, context, cost)
            ordinal += 1


def _measure_groups(
    groups: Sequence[Sequence[Element]], title: str, count_tokens: CountTokens, window: int
) -> tuple[Mapping[Path, tuple[str, int]], Mapping[int, list[Unit]], int]:
    """Return context lines by section, units by element, and the token limit of a chunk's text.

    All texts are counted in one call.
    """
    elements = [element for group in groups for element in group]
    lines = full_lines(title, [group[0].section for group in groups])
    pieces = cut(elements, min(_TARGET, window))
    counts = count_tokens([*lines.values(), *(piece.text for piece in pieces)]) if groups else []
    contexts = fit_lines(
        title,
        {path: (line, count) for (path, line), count in zip(lines.items(), counts, strict=False)},
        count_tokens,
        window // _CONTEXT_SHARE,
    )
    limit = min(_TARGET, window - max((cost for _, cost in contexts.values()), default=0))
    units = affordable(add_costs(pieces, counts[len(lines) :]), count_tokens, limit)
    return contexts, by_element(units, elements), limit


def _draft(ordinal: int, units: Sequence[Unit], context: str, cost: int) -> ChunkDraft:
    elements = tuple(dict.fromkeys(unit.element.index for unit in units))
    first = units[0].element
    return ChunkDraft(
        ordinal,
        _text(units),
        context,
        first.section,
        first.page,
        elements,
        cost + sum(unit.tokens for unit in units),
        _cells(units) if any(unit.element.cells for unit in units) else (),
        _links(units) if any(unit.element.links for unit in units) else (),
        _code(units),
    )


def _text(units: Sequence[Unit]) -> str:
    return "".join(f"{gap}{element.text[start:end]}" for gap, element, start, end in _slices(units))


def _slices(units: Sequence[Unit]) -> Iterator[tuple[str, Element, int, int]]:
    """Yield the parts of elements that a chunk's text is made of, each after the gap to the part before."""
    before: Unit | None = None
    for start, end in _runs(units):
        first = units[start]
        gap = "" if before is None else _between(before.element, first)
        before = units[end - 1]
        yield gap, first.element, _start_of(first), before.end


def _start_of(unit: Unit) -> int:
    """Return where the unit starts, with its indentation if it is a line of code."""
    if unit.element.category != _CODE:
        return unit.start
    line = unit.element.text.rfind("\n", 0, unit.start) + 1
    return unit.start if unit.element.text[line : unit.start].strip() else line


def _links(units: Sequence[Unit]) -> tuple[Link, ...]:
    """Return the links in the text that `_text` builds from the units."""
    found: list[Link] = []
    place = 0
    for gap, element, start, end in _slices(units):
        place += len(gap)
        found += [
            Link(link.start + place, link.end + place, link.url)
            for link in links_between(element.links, start, end)
        ]
        place += end - start
    return tuple(found[:MAX_LINKS_PER_PASSAGE])


def _code(units: Sequence[Unit]) -> tuple[tuple[int, int], ...]:
    """Return where code starts and ends in the text that `_text` builds from the units."""
    found: list[tuple[int, int]] = []
    place = 0
    for gap, element, start, end in _slices(units):
        place += len(gap)
        found += [(place, place + end - start)] if element.category == _CODE else []
        place += end - start
    return tuple(found)


def _runs(units: Sequence[Unit]) -> Iterator[tuple[int, int]]:
    """Yield ranges of units that are adjacent in one element's text."""
    start = 0
    for place in range(1, len(units) + 1):
        if place == len(units) or not _adjoin(units[place - 1], units[place]):
            yield start, place
            start = place


def _adjoin(unit: Unit, following: Unit) -> bool:
    if unit.element is not following.element or following.start < unit.end:
        return False
    return not unit.element.text[unit.end : following.start].strip()


def _between(above: Element, unit: Unit) -> str:
    below = unit.element
    goes_on = above.category == below.category == _TABLE and unit.start > 0
    same = above is below or goes_on or (above.category in _CLOSE and above.category == below.category)
    return "\n" if same or below.category == "ListItem" else "\n\n"


def _cells(units: Sequence[Unit]) -> tuple[CellLine, ...]:
    """Return the location of each line of the text that `_text` builds from the units."""
    found: list[CellLine] = []
    before: Unit | None = None
    for start, end in _runs(units):
        first, last = units[start], units[end - 1]
        blank = before is not None and _between(before.element, first) == "\n\n"
        found.extend([CellLine("")] if blank else [])
        found.extend(_lines_between(first.element, first.start, last.end))
        before = last
    return tuple(found)


def _lines_between(element: Element, start: int, end: int) -> Iterator[CellLine]:
    first = element.text.count("\n", 0, start)
    last = first + element.text.count("\n", start, end)
    for line in range(first, last + 1):
        cells = element.cells[line] if line < len(element.cells) else ""
        yield CellLine(on_sheet(element.sheet, cells) if cells else "", line < element.header_rows)
