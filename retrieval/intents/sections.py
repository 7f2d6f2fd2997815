"""Splits a document into the sections that a summary goes through."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from cairn.library.models import Chunk

MAX_PARTS: Final = 8  # of a document without headings
MIN_PASSAGES_PER_PART: Final = 3


@dataclass(frozen=True, slots=True)
class OutlinePassage:
    """A passage without its text."""

    id: UUID
    section: tuple[str, ...]
    page: int | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Section:
    """A run of passages. `heading` is empty for a part without one."""

    heading: str
    passages: Sequence[OutlinePassage]

    @property
    def tokens(self) -> int:
        return sum(passage.tokens for passage in self.passages)

    @property
    def pages(self) -> tuple[int, int] | None:
        numbers = [passage.page for passage in self.passages if passage.page is not None]
        return (min(numbers), max(numbers)) if numbers else None


def load_outline(version: UUID) -> list[OutlinePassage]:
    """Load where the passages of a version are. Whether they may be read is for the caller to check."""
    rows = Chunk.objects.filter(version=version).order_by("ordinal")
    columns = rows.values_list("id", "section", "page", "tokens")
    return [OutlinePassage(pk, tuple(section), page, tokens) for pk, section, page, tokens in columns]


def split_sections(passages: Sequence[OutlinePassage]) -> list[Section]:
    """Split at the outermost headings of which there are several; without any, into parts of equal length."""
    deepest = max((len(passage.section) for passage in passages), default=0)
    for depth in range(1, deepest + 1):
        sections = list(_group(passages, lambda passage, depth=depth: passage.section[:depth]))  # type: ignore[misc]
        if len(sections) > 1:
            return sections
    count = max(1, min(MAX_PARTS, len(passages) // MIN_PASSAGES_PER_PART))
    size = -(-len(passages) // count)
    return [Section("", passages[at : at + size]) for at in range(0, len(passages), size)]


def _group(
    passages: Sequence[OutlinePassage], key: Callable[[OutlinePassage], tuple[str, ...]]
) -> Iterator[Section]:
    for path, run in groupby(passages, key):
        yield Section(path[-1] if path else "", list(run))


def choose_longest(sections: Sequence[Section], most: int) -> list[Section]:
    """Return the longest sections, in the order of the document."""
    ranked = sorted(range(len(sections)), key=lambda at: -sections[at].tokens)[:most]
    return [sections[at] for at in sorted(ranked)]
