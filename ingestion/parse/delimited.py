"""CSV and its relatives: rows of text, read as a sheet is."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cairn.library.rendition import Rendition, Report
from ingestion.parse import reject
from ingestion.parse.build import RenditionBuilder
from ingestion.parse.grid import Reader, Row, Value, bands
from ingestion.parse.limits import Limits
from ingestion.parse.rows import Full, RowWriter
from ingestion.parse.text import decode

_DELIMITERS: Final = ",;\t|~^"
_NAMED: Final = re.compile(r"sep=(.)\n", re.IGNORECASE)  # spreadsheet programs write and read this first line
_SAMPLE_LINES: Final = 20
_SAMPLE_CHARACTERS: Final = 20_000
_LONGEST_FIELD: Final = 1_000_000


def parse(path: Path, limits: Limits) -> Rendition:
    text = decode(path.read_bytes())
    builder = RenditionBuilder(limits)
    warnings = _write(text, builder)
    if warnings and builder.is_empty:
        raise reject.too_large(limits.characters)
    return builder.build(
        report=Report(tables=builder.tables, truncated=bool(warnings), warnings=tuple(warnings))
    )


def _write(text: str, builder: RenditionBuilder) -> list[str]:
    reader = Reader(side_by_side=False)
    writer = RowWriter(builder, _as_written)
    try:
        for band in bands(_rows(text)):
            writer.write(reader.parts(band))
    except Full as full:
        return [f"The file holds too much text: row {full.row + 1:,} and all rows after it were left out."]
    return []


def _as_written(row: int, column: int, value: Value) -> str:  # noqa: ARG001 a sheet's cells have formats
    return str(value)


def _rows(text: str) -> Iterator[Row]:
    """Numbered as a spreadsheet program does, in which a cell may hold several lines."""
    if named := _NAMED.match(text):
        delimiter, text = named[1], text[named.end() :]
    else:
        delimiter = _delimiter(text[:_SAMPLE_CHARACTERS].split("\n")[:_SAMPLE_LINES])
    for number, record in enumerate(_records(text.split("\n"), delimiter)):
        cells = {column: kept for column, cell in enumerate(record) if (kept := " ".join(cell.split()))}
        if cells:
            yield Row(number, cells)


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """A quote that never closes would swallow the rest of the file: then quotes mean nothing."""
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader([line + "\n" for line in lines], delimiter=delimiter, strict=True))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _delimiter(sample: Sequence[str]) -> str:
    """The one that cuts most lines into the same number of cells, and many of them."""

    def score(delimiter: str) -> float:
        widths = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter) if row)
        width, lines = widths.most_common(1)[0] if widths else (1, 0)
        return (width - 1) * lines / max(1, widths.total())

    return max(_DELIMITERS, key=score)
