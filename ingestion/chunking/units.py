"""The smallest parts of a rendition that chunks are made of, each with its token cost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cairn.library.rendition import Element
from ingestion.chunking.sentences import Span, lines, pieces, sentences

CountTokens = Callable[[Sequence[str]], list[int]]

_BY_LINE: Final = frozenset(("Table", "CodeSnippet"))
_LETTERS_PER_TOKEN: Final = 8


@dataclass(frozen=True, slots=True)
class Unit:
    """Part of an element's text. `cost` is `tokens`, or more where the count is unreliable."""

    element: Element
    start: int
    end: int
    tokens: int = 0
    cost: int = 0

    @property
    def text(self) -> str:
        return self.element.text[self.start : self.end]


def cut(elements: Sequence[Element], limit: int) -> list[Unit]:
    """Cut elements into rows, lines and sentences that are not counted yet."""
    return [Unit(element, *span) for element in elements for span in _spans(element, limit)]


def add_costs(units: Sequence[Unit], counts: Sequence[int]) -> list[Unit]:
    return [
        Unit(unit.element, unit.start, unit.end, count, _cost(count, unit.end - unit.start))
        for unit, count in zip(units, counts, strict=True)
    ]


def affordable(units: list[Unit], count_tokens: CountTokens, limit: int) -> list[Unit]:
    """Halves what costs more than `limit` until nothing does; a single letter is not cut."""
    while any(_is_too_much(unit, limit) for unit in units):
        halves = [part for unit in units if _is_too_much(unit, limit) for part in _halve_unit(unit)]
        counted = iter(add_costs(halves, count_tokens([half.text for half in halves])))
        units = [
            part
            for unit in units
            for part in ((next(counted) for _ in _halve_unit(unit)) if _is_too_much(unit, limit) else (unit,))
        ]
    return units


def by_element(units: Sequence[Unit], elements: Sequence[Element]) -> dict[int, list[Unit]]:
    found: dict[int, list[Unit]] = {element.index: [] for element in elements}
    for unit in units:
        found[unit.element.index].append(unit)
    return found


def _spans(element: Element, limit: int) -> Iterator[Span]:
    spans = lines(element.text) if element.category in _BY_LINE else sentences(element.text)
    for span in spans:
        yield from pieces(element.text, span, limit * _LETTERS_PER_TOKEN)


def _cost(tokens: int, letters: int) -> int:
    """Tokenizers take an endless word for one unknown token; no reader does."""
    return max(tokens, letters // _LETTERS_PER_TOKEN, 1)


def _is_too_much(unit: Unit, limit: int) -> bool:
    return unit.cost > limit and unit.end - unit.start > 1


def _halve_unit(unit: Unit) -> list[Unit]:
    size = (unit.end - unit.start + 1) // 2
    return [Unit(unit.element, *span) for span in pieces(unit.element.text, (unit.start, unit.end), size)]
