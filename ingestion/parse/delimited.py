"""CSV and its relatives: each block of rows becomes a table under the same header."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from cairn.library.rendition import Rendition
from ingestion.parse import reject
from ingestion.parse.build import TABLE, RenditionBuilder
from ingestion.parse.limits import Limits
from ingestion.parse.text import decode

_DELIMITERS: Final = ",;\t|"
_SAMPLE_LINES: Final = 20
_SAMPLE_CHARACTERS: Final = 20_000
_ROWS_PER_TABLE: Final = 50
_LONGEST_FIELD: Final = 1_000_000


def parse(path: Path, limits: Limits) -> Rendition:
    text = decode(path.read_bytes())
    if len(text) > limits.characters:
        raise reject.too_large(limits.characters)
    rows = _rows(text)
    header = next(rows, "")
    builder = RenditionBuilder(limits)
    tables = 0
    while block := list(islice(rows, _ROWS_PER_TABLE)):
        builder.add(TABLE, "\n".join([header, *block]), header_rows=1)
        tables += 1
    if not tables:
        builder.add(TABLE, header)
    return builder.build()


def _rows(text: str) -> Iterator[str]:
    lines = text.split("\n")
    delimiter = _delimiter(text[:_SAMPLE_CHARACTERS].split("\n")[:_SAMPLE_LINES])
    return filter(None, map(_line, _records(lines, delimiter)))


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """A quote that never closes would swallow the rest of the file: then quotes mean nothing."""
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader([line + "\n" for line in lines], delimiter=delimiter, strict=True))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _line(cells: Sequence[str]) -> str:
    """One line, cells joined by " | "; empty if all cells are."""
    texts = [" ".join(cell.split()) for cell in cells]
    return " | ".join(texts) if any(texts) else ""


def _delimiter(sample: Sequence[str]) -> str:
    """The one that cuts most lines into the same number of cells, and many of them."""

    def score(delimiter: str) -> float:
        widths = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter) if row)
        width, lines = widths.most_common(1)[0] if widths else (1, 0)
        return (width - 1) * lines / max(1, widths.total())

    return max(_DELIMITERS, key=score)
