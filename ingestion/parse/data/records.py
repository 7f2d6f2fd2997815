"""Structured data as text: "name: value" lines for fields, tables for lists of similar records."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from ingestion.parse.core.rendition_builder import LIST_ITEM, TABLE, TEXT, RenditionBuilder
from ingestion.parse.text.cleaning import clean

_ROWS_PER_TABLE: Final = 50
_MOST_COLUMNS: Final = 10
_LONGEST_CELL: Final = 200
_LONGEST_LIST: Final = 300
_MOST_FIELDS: Final = 60  # of a record that stands in one piece
_DEEPEST: Final = 6
_LABELS: Final = ("title", "name", "label", "id", "key")

Field = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes values as parsed by `json.loads`, with numbers as strings."""

    builder: RenditionBuilder

    def write(self, value: Any, level: int = 0) -> None:
        if isinstance(value, dict):
            self._object(value, level)
        elif isinstance(value, list):
            self._array(value, level)
        else:
            self.builder.add(TEXT, _scalar(value))

    def _object(self, value: Mapping[str, Any], level: int) -> None:
        """Write plain fields first, then nested parts in sections of their own."""
        self.builder.add(TEXT, _lines(_plain_fields(value)))
        for name, part in value.items():
            if not _is_plain(part):
                self._part(_name(name), part, level)

    def _part(self, name: str, part: Any, level: int) -> None:
        if next(fields(part), None) is None:
            return
        if level < _DEEPEST:
            self.builder.heading(level, name)
            self.write(part, level + 1)
        else:
            self.builder.add(TEXT, _lines(fields(part, name)))

    def _array(self, items: Sequence[Any], level: int) -> None:
        if columns := _columns(items):
            self._table(columns, items)
            return
        for number, item in enumerate(items, 1):
            self._item(item, number, level)

    def _item(self, item: Any, number: int, level: int) -> None:
        if not isinstance(item, (dict, list)):
            self.builder.add(LIST_ITEM, _scalar(item))
            return
        found = list(islice(fields(item), _MOST_FIELDS + 1))
        if len(found) <= _MOST_FIELDS:
            self.builder.add(TEXT, _lines(found))
        else:
            self._part(_label(item) or str(number), item, level)

    def _table(self, columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> None:
        header = " | ".join(map(_name, columns))
        rows = [" | ".join(_cell(record.get(name)) for name in columns) for record in records]
        for start in range(0, len(rows), _ROWS_PER_TABLE):
            block = rows[start : start + _ROWS_PER_TABLE]
            self.builder.add(TABLE, "\n".join([header, *block]), header_rows=1)


def fields(value: Any, path: str = "") -> Iterator[Field]:
    """Yield (dotted path, text) of all non-empty values in `value`."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from fields(part, f"{path}.{_name(name)}" if path else _name(name))
    elif isinstance(value, list) and not _is_plain(value):
        for number, part in enumerate(value, 1):
            yield from fields(part, f"{path}.{number}" if path else str(number))
    elif text := _cell(value):
        yield path, text


def _plain_fields(value: Mapping[str, Any]) -> Iterator[Field]:
    for name, part in value.items():
        if _is_plain(part) and (text := _cell(part)):
            yield _name(name), text


def _lines(found: Sequence[Field] | Iterator[Field]) -> str:
    return "\n".join(f"{path}: {text}" if path else text for path, text in found)


def _is_plain(value: Any) -> bool:
    """Return whether a value fits in a line: a scalar, or a short list of scalars."""
    if isinstance(value, list):
        return not any(isinstance(item, (dict, list)) for item in value) and _is_short(value)
    return not isinstance(value, dict) or not value


def _is_short(items: Sequence[Any]) -> bool:
    return sum(len(_scalar(item)) + 2 for item in items) <= _LONGEST_LIST


def _columns(items: Sequence[Any]) -> list[str]:
    """Return the columns of a table for the items; empty if they do not form one."""
    if len(items) < 2 or not all(isinstance(item, dict) and item for item in items):
        return []
    names = list(dict.fromkeys(name for item in items for name in item))
    filled = sum(len(item) for item in items)
    if not 1 < len(names) <= _MOST_COLUMNS or filled * 2 < len(names) * len(items):
        return []
    fit = all(
        _is_plain(part) and len(_cell(part)) <= _LONGEST_CELL for item in items for part in item.values()
    )
    return names if fit else []


def _label(item: Any) -> str:
    named = [item.get(name) for name in _LABELS] if isinstance(item, dict) else []
    return next((_cell(value) for value in named if isinstance(value, str) and _cell(value)), "")


def _cell(value: Any) -> str:
    """Write a value on one line."""
    text = ", ".join(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
    return " ".join(text.split())


def _scalar(value: Any) -> str:
    if value is None or value == {}:
        return ""
    return str(value).lower() if isinstance(value, bool) else clean(str(value))


def _name(name: str) -> str:
    return " ".join(clean(name).split())
