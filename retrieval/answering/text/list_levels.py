"""Writes the items of a list as Markdown, nested as their numbers show: passages have no indentation."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

NUMBERED: Final = re.compile(r"\(?(\d{1,3})[.)]\s+")
_SYMBOL: Final = re.compile(r"\s*[-*+•‣◦]\s+")


@dataclass(frozen=True, slots=True)
class ListLine:
    """`continues`: it is another paragraph of the item above it."""

    text: str
    continues: bool = False


@dataclass(slots=True)
class _Level:
    """A list that is open. `number`: of its last item, 0 for bullets. `inner`: the indent of what is in its
    items."""

    number: int
    inner: int


@dataclass(slots=True)
class _Nesting:
    open: list[_Level] = field(default_factory=list)

    def add(self, number: int) -> str | None:
        """Return what precedes an item's text; None for a number that fits no list."""
        depth = self._find_depth(number)
        if depth is None:
            return None
        mark = f"{number}. " if number else "- "
        indent = self.open[depth - 1].inner if depth else 0
        self.open[depth:] = [_Level(number, indent + len(mark))]
        return f"{' ' * indent}{mark}"

    def _find_depth(self, number: int) -> int | None:
        """Return how many lists the item's own is in. It continues the innermost list that it fits; a bullet
        or a first number that fits none begins one in the item above."""
        for depth in reversed(range(len(self.open))):
            if self._continues(self.open[depth].number, number):
                return depth
        return len(self.open) if number <= 1 or not self.open else None

    @staticmethod
    def _continues(last: int, number: int) -> bool:
        return 0 < last == number - 1 if number else not last


def read_number(line: str) -> int:
    """Return the number of an item, 0 if it has none."""
    found = NUMBERED.match(line)
    return int(found[1]) if found else 0


def render_items(lines: Sequence[ListLine], escape: Callable[[str], str]) -> list[str] | None:
    """Return the items as lines of Markdown; None if numbers are left out: Markdown would count anew."""
    rendered, nesting = list[str](), _Nesting()
    for line in lines:
        if line.continues and nesting.open:
            rendered += ["", f"{' ' * nesting.open[-1].inner}{escape(line.text)}"]
            continue
        number = read_number(line.text)
        mark = nesting.add(number)
        if mark is None:
            return None
        rendered.append(f"{mark}{escape(_strip_mark(line.text, number))}")
    return rendered


def split_at_leads(lines: Sequence[ListLine]) -> Iterator[Sequence[ListLine]]:
    """Yield the lists of lines in which numbers begin anew below a line that ends with a colon."""
    starts = [
        at
        for at in range(1, len(lines) - 1)
        if lines[at].text.endswith(":") and not read_number(lines[at].text)
        if read_number(lines[at + 1].text) == 1
    ]
    for start, end in zip([0, *starts], [*starts, len(lines)], strict=True):
        yield lines[start:end]


def _strip_mark(line: str, number: int) -> str:
    """Remove a number or bullet. A letter stays: other items may refer to it."""
    return (NUMBERED if number else _SYMBOL).sub("", line, count=1) if number or _SYMBOL.match(line) else line
