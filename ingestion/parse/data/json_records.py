"""JSON and JSON Lines."""

import json
from pathlib import Path
from typing import Any, Final

from cairn.library.rendition import Rendition, Report
from ingestion.parse.core import failures, report_notes
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.data.records import Writer
from ingestion.parse.text.cleaning import decode

_KIND: Final = "JSON file"
_TITLES: Final = ("title", "name")


def parse(path: Path, limits: Limits) -> Rendition:
    text = decode(path.read_bytes())
    try:
        value = _load_json(text)
    except ValueError as error:
        if "\n" in text.strip() and _is_value(text.strip().split("\n", 1)[0]):
            return _lines(text, limits)
        raise failures.damaged(_KIND) from error
    return _rendition(value, limits)


def parse_lines(path: Path, limits: Limits) -> Rendition:
    return _lines(decode(path.read_bytes()), limits)


def _lines(text: str, limits: Limits) -> Rendition:
    """Parse lines, skipping and reporting those that are invalid."""
    lines = [line for line in text.split("\n") if line.strip()]
    values = [_load_json(line) for line in lines if _is_value(line)]
    broken = len(lines) - len(values)
    if broken > len(values):
        raise failures.damaged(_KIND)
    return _rendition(values, limits, report_notes.build_count_note("skipped_lines", broken))


def _rendition(value: Any, limits: Limits, warnings: tuple[str, ...] = ()) -> Rendition:
    builder = RenditionBuilder(limits)
    Writer(builder).write(value)
    titles = [value.get(name) for name in _TITLES] if isinstance(value, dict) else []
    title = next((one for one in titles if isinstance(one, str)), None)
    return builder.build(title=title, report=Report(tables=builder.tables, warnings=warnings))


def _load_json(text: str) -> Any:
    """Parse JSON with numbers as strings, so that no digit is lost. Raises ValueError."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, strict=False)
    except RecursionError as error:
        raise failures.damaged(_KIND) from error


def _is_value(line: str) -> bool:
    try:
        _load_json(line)
    except ValueError:
        return False
    return True
