"""A rendition into chunks: what is embedded, found, shown and cited."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cairn.library.rendition import Element, Rendition
from ingestion.chunk.context import contexts
from ingestion.chunk.pack import blocks, pack, sections
from ingestion.chunk.units import CountTokens, Unit, units_of

_TARGET: Final = 200
_CONTEXT_SHARE: Final = 3  # at most a third of the window
_SMALLEST: Final = 16
_NARROWER: Final = (1.0, 0.75, 0.5, 0.25)
_CLOSE: Final = frozenset(("ListItem", "CodeSnippet"))


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """`text` is made of the texts of `elements`, word for word. `tokens` are those of `embedding_text`."""

    ordinal: int
    text: str
    context: str
    section: tuple[str, ...]
    page: int | None
    elements: tuple[int, ...]
    tokens: int

    @property
    def embedding_text(self) -> str:
        return f"{self.context}\n{self.text}" if self.context else self.text


def chunk(
    rendition: Rendition, *, title: str, count_tokens: CountTokens, max_tokens: int
) -> list[ChunkDraft]:
    """Every draft's embedding text fits `max_tokens`, counted as `count_tokens` does."""
    window = max(max_tokens, _SMALLEST)
    drafts: list[ChunkDraft] = []
    for share in _NARROWER:  # costs add up exactly for most tokenizers, nearly for the rest
        drafts = list(_drafts(rendition, title, count_tokens, int(window * share)))
        counts = count_tokens([draft.embedding_text for draft in drafts]) if drafts else []
        drafts = [replace(draft, tokens=count) for draft, count in zip(drafts, counts, strict=True)]
        if all(count <= window for count in counts):
            break
    return drafts


def _drafts(rendition: Rendition, title: str, count_tokens: CountTokens, window: int) -> Iterator[ChunkDraft]:
    groups = list(sections(rendition.elements))
    lines = contexts(title, [group[0].section for group in groups], count_tokens, window // _CONTEXT_SHARE)
    narrowest = window - max((cost for _, cost in lines.values()), default=0)
    limit = min(_TARGET, narrowest)
    units = units_of([element for group in groups for element in group], count_tokens, limit)
    ordinal = 0
    for group in groups:
        context, cost = lines[group[0].section]
        for members in pack(blocks(group, units, limit), limit, window - cost):
            yield _draft(ordinal, members, context)
            ordinal += 1


def _draft(ordinal: int, units: Sequence[Unit], context: str) -> ChunkDraft:
    elements = tuple(dict.fromkeys(unit.element.index for unit in units))
    first = units[0].element
    return ChunkDraft(ordinal, _text(units), context, first.section, first.page, elements, 0)


def _text(units: Sequence[Unit]) -> str:
    text = ""
    before: Unit | None = None
    for start, end in _runs(units):
        first = units[start]
        text += "" if before is None else _between(before.element, first.element)
        before = units[end - 1]
        text += first.element.text[first.start : before.end]
    return text


def _runs(units: Sequence[Unit]) -> Iterator[tuple[int, int]]:
    """Ranges of units that follow each other in one element's text."""
    start = 0
    for place in range(1, len(units) + 1):
        if place == len(units) or not _adjoin(units[place - 1], units[place]):
            yield start, place
            start = place


def _adjoin(unit: Unit, following: Unit) -> bool:
    if unit.element is not following.element or following.start < unit.end:
        return False
    return not unit.element.text[unit.end : following.start].strip()


def _between(above: Element, below: Element) -> str:
    same = above is below or (above.category in _CLOSE and above.category == below.category)
    return "\n" if same or below.category == "ListItem" else "\n\n"
