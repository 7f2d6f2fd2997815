"""Table cells with figures, and the header rows above them."""

import re
from collections.abc import Sequence
from typing import Final

_FIGURE: Final = re.compile(r"[-–—(]?[$€£¥]?\s?[-–(]?[\d.,]+\s?%?\)?[%*]?|[—–-]")
_YEAR: Final = re.compile(r"(19|20)\d\d")
_MOST_HEADER_ROWS: Final = 5
_MOSTLY: Final = 2 / 3


def is_figure(text: str) -> bool:
    return bool(_FIGURE.fullmatch(text))


def has_figures(row: Sequence[str]) -> bool:
    """Return whether a row has figures, except years, which headers may contain, and its label."""
    return any(is_figure(cell) and not _YEAR.fullmatch(cell) for cell in row[1:])


def leading_rows(rows: Sequence[Sequence[str]]) -> int:
    """Count the rows above the first with figures; 0 if none is near."""
    return next((count for count, row in enumerate(rows[: _MOST_HEADER_ROWS + 1]) if has_figures(row)), 0)


def header_rows(rows: Sequence[Sequence[str]]) -> int:
    """Count the header rows of a table without marked header: 0 unless most rows below have figures.

    A label alone in its row, such as `Assets:`, names the rows below it and not the columns.
    """
    labels = (count for count, row in enumerate(rows) if len(row) < 2 or not any(row[1:]))
    count = min(leading_rows(rows), next(labels, len(rows)))
    below = [row for row in rows[count:] if any(row[1:])]
    return count if sum(map(has_figures, below)) >= _MOSTLY * len(below) else 0
