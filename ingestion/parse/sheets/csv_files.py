"""CSV and similar formats, parsed like a sheet."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cairn.library.rendition import Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.sheets.grid import Reader, Row, Value, bands
from ingestion.parse.sheets.rows import Full, RowWriter
from ingestion.parse.text.cleaning import decode

_DELIMITERS: Final = ",;\t|~^"
_END: Final = re.escape(_DELIMITERS) + r"\n"
_QUOTED: Final = re.compile(rf'(?<![^{_END}])"(?:[^"]|"")*+"(?=[{_END}]|\Z)')
_NAMED: Final = re.compile(r"sep=(.)\n", re.IGNORECASE)  # spreadsheet programs write and read this first line
_SAMPLE_LINES: Final = 20
_SAMPLE_CHARACTERS: Final = 20_000
_LONGEST_FIELD: Final = 1_000_000


def parse(path: Path, limits: Limits) -> Rendition:
    return _parse_text(decode(path.read_bytes()), "", limits)


def parse_tabs(path: Path, limits: Limits) -> Rendition:
    """Parse tab-separated values. Without any tab the file name is wrong, and the delimiter is detected."""
    text = decode(path.read_bytes())
    return _parse_text(text, "\t" if "\t" in text else "", limits)


def _parse_text(text: str, delimiter: str, limits: Limits) -> Rendition:
    """Detect the delimiter if it is empty."""
    builder = RenditionBuilder(limits)
    warnings = _write(_rows(text, delimiter), builder)
    if warnings and builder.is_empty:
        raise failures.too_large(limits.characters)
    return builder.build(
        report=Report(tables=builder.tables, truncated=bool(warnings), warnings=tuple(warnings))
    )


def _write(rows: Iterator[Row], builder: RenditionBuilder) -> list[str]:
    reader = Reader(side_by_side=False)
    writer = RowWriter(builder, _as_written)
    try:
        for band in bands(rows):
            writer.write(reader.parts(band))
    except Full as full:
        return [CodedMessage("cut_rows", row=full.row + 1)]
    return []


def _as_written(row: int, column: int, value: Value) -> str:  # noqa: ARG001 a sheet's cells have formats
    return str(value)


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    """Yield rows numbered as in a spreadsheet program, where a cell may have several lines."""
    if named := _NAMED.match(text):
        delimiter, text = named[1], text[named.end() :]
    for number, record in enumerate(_records(text.split("\n"), delimiter or _delimiter(_sample(text)))):
        cells = {column: value for column, cell in enumerate(record) if (value := " ".join(cell.split()))}
        if cells:
            yield Row(number, cells)


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Parse records. If a quote never closes, quotes are taken literally, to preserve the rest of the
    file.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader([line + "\n" for line in lines], delimiter=delimiter, strict=True))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _sample(text: str) -> list[str]:
    """Return whole lines, with quoted cells replaced by a word, so that their contents do not count."""
    lines = _QUOTED.sub("quoted", text[:_SAMPLE_CHARACTERS]).split("\n")
    whole = lines[:-1] if len(text) > _SAMPLE_CHARACTERS and len(lines) > 1 else lines
    return [line for line in whole[:_SAMPLE_LINES] if line.strip()]


def _delimiter(sample: Sequence[str]) -> str:
    """Return the delimiter that splits all lines, or the most, into the same number of cells, and into many.

    The comma is tried last, as it may be a decimal separator; but no number has two of them.
    """
    widths = {delimiter: [line.count(delimiter) + 1 for line in sample] for delimiter in _DELIMITERS}
    even = {one: found[0] for one, found in widths.items() if len(set(found)) == 1 and found[0] > 1}
    comma = even.pop(",", 0)
    best = max(even, key=even.__getitem__, default="")
    if best and comma <= even[best] + 1:
        return best
    return "," if comma else max(_DELIMITERS, key=lambda delimiter: _score(widths[delimiter]))


def _score(widths: Sequence[int]) -> float:
    width, lines = Counter(widths).most_common(1)[0] if widths else (1, 0)
    return (width - 1) * lines / max(1, len(widths))
