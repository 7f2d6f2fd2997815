"""Dify's conditions on metadata: which documents they leave."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

Name = Annotated[str, StringConstraints(max_length=200)]
Text = Annotated[str, StringConstraints(max_length=2000)]
Value = Text | float | Annotated[list[Text], Field(max_length=200)] | None
Compare = Callable[[Any, Any], bool]


def _text(value: Any) -> str:
    return "" if value is None else str(value).casefold()


def _texts(value: Any) -> set[str]:
    return {_text(item) for item in (value if isinstance(value, list) else [value])}


def _by_number(compare: Compare) -> Compare:
    def compared(held: Any, wanted: Any) -> bool:
        try:
            return compare(float(held), float(wanted))
        except (TypeError, ValueError):
            return False

    return compared


def _moment(value: Any) -> datetime:
    """ISO 8601, or seconds since 1970. Without a zone UTC is meant."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    found = datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _by_time(compare: Compare) -> Compare:
    def compared(held: Any, wanted: Any) -> bool:
        try:
            return compare(_moment(held), _moment(wanted))
        except (TypeError, ValueError, OverflowError, OSError):
            return False

    return compared


def _contains(held: Any, wanted: Any) -> bool:
    return _text(wanted) in _texts(held) if isinstance(held, list) else _text(wanted) in _text(held)


def _is(held: Any, wanted: Any) -> bool:
    return _text(wanted) in _texts(held)


def _in(held: Any, wanted: Any) -> bool:
    return not _texts(held).isdisjoint(_texts(wanted))


def _empty(held: Any, _wanted: Any) -> bool:
    return held in (None, "", [], {})


def _not(compare: Compare) -> Compare:
    return lambda held, wanted: not compare(held, wanted)


OPERATORS: Mapping[str, Compare] = {
    "contains": _contains,
    "not contains": _not(_contains),
    "start with": lambda held, wanted: _text(held).startswith(_text(wanted)),
    "end with": lambda held, wanted: _text(held).endswith(_text(wanted)),
    "is": _is,
    "is not": _not(_is),
    "in": _in,
    "not in": _not(_in),
    "empty": _empty,
    "not empty": _not(_empty),
    "=": _by_number(lambda held, wanted: held == wanted),
    "≠": _by_number(lambda held, wanted: held != wanted),
    ">": _by_number(lambda held, wanted: held > wanted),
    "<": _by_number(lambda held, wanted: held < wanted),
    "≥": _by_number(lambda held, wanted: held >= wanted),
    "≤": _by_number(lambda held, wanted: held <= wanted),
    "before": _by_time(lambda held, wanted: held < wanted),
    "after": _by_time(lambda held, wanted: held > wanted),
}


class Condition(BaseModel):
    """`name`: of a field, or several, one of which has to fit."""

    name: Name | Annotated[list[Name], Field(min_length=1, max_length=50)]
    comparison_operator: Literal[tuple(OPERATORS)]  # type: ignore[valid-type]  # one list of them
    value: Value = None

    def fits(self, metadata: Mapping[str, Any]) -> bool:
        compare = OPERATORS[self.comparison_operator]
        names = [self.name] if isinstance(self.name, str) else self.name
        return any(compare(metadata.get(name), self.value) for name in names)


class MetadataCondition(BaseModel):
    logical_operator: Literal["and", "or"] = "and"
    conditions: Annotated[Sequence[Condition], Field(max_length=50)] = ()

    def fit(self, metadata: Mapping[str, Any]) -> bool:
        fitting = (condition.fits(metadata) for condition in self.conditions)
        return all(fitting) if self.logical_operator == "and" else any(fitting)
