"""A table that a model wrote, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """`header` is empty for lines with bars that have no rule below the first."""

    header: str
    rule: str
    rows: tuple[str, ...]

    def row_sentence(self, row: str) -> str:
        """Return a row as a sentence: its cells after the words of the header."""
        return f"{' '.join(_cells(self.header))} | {' | '.join(_cells(row))}".removeprefix(" | ")

    def render(self, rows: Sequence[str]) -> str:
        return "\n".join([*([self.header, self.rule] if self.header else []), *rows])

    def with_mark(self, row: str, mark: str) -> str:
        """Return the row with the mark in its last cell."""
        start, bar, end = row.rstrip().rpartition("|")
        return f"{start.rstrip()} {mark} {bar}{end}" if bar and not end.strip() else f"{row} {mark}"


def read_table(text: str) -> Table:
    lines = [line.strip() for line in text.split("\n")]
    if len(lines) > 2 and _is_rule(lines[1]):
        return Table(lines[0], lines[1], tuple(line for line in lines[2:] if not _is_rule(line)))
    return Table("", "", tuple(line for line in lines if not _is_rule(line)))


def _is_rule(line: str) -> bool:
    return not line.strip(" |:-+")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|") if cell.strip()]
