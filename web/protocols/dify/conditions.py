"""Dify's metadata conditions, evaluated on documents."""

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
    def compare_numbers(actual: Any, expected: Any) -> bool:
        try:
            return compare(float(actual), float(expected))
        except (TypeError, ValueError):
            return False

    return compare_numbers


def _moment(value: Any) -> datetime:
    """Parse ISO 8601, or seconds since 1970. The default zone is UTC."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    found = datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _by_time(compare: Compare) -> Compare:
    def compare_times(actual: Any, expected: Any) -> bool:
        try:
            return compare(_moment(actual), _moment(expected))
        except (TypeError, ValueError, OverflowError, OSError):
            return False

    return compare_times


def _contains(actual: Any, expected: Any) -> bool:
    return _text(expected) in _texts(actual) if isinstance(actual, list) else _text(expected) in _text(actual)


def _is(actual: Any, expected: Any) -> bool:
    return _text(expected) in _texts(actual)


def _in(actual: Any, expected: Any) -> bool:
    return not _texts(actual).isdisjoint(_texts(expected))


def _empty(actual: Any, _expected: Any) -> bool:
    return actual in (None, "", [], {})


def _not(compare: Compare) -> Compare:
    return lambda actual, expected: not compare(actual, expected)


OPERATORS: Mapping[str, Compare] = {
    "contains": _contains,
    "not contains": _not(_contains),
    "start with": lambda actual, expected: _text(actual).startswith(_text(expected)),
    "end with": lambda actual, expected: _text(actual).endswith(_text(expected)),
    "is": _is,
    "is not": _not(_is),
    "in": _in,
    "not in": _not(_in),
    "empty": _empty,
    "not empty": _not(_empty),
    "=": _by_number(lambda actual, expected: actual == expected),
    "≠": _by_number(lambda actual, expected: actual != expected),
    ">": _by_number(lambda actual, expected: actual > expected),
    "<": _by_number(lambda actual, expected: actual < expected),
    "≥": _by_number(lambda actual, expected: actual >= expected),
    "≤": _by_number(lambda actual, expected: actual <= expected),
    "before": _by_time(lambda actual, expected: actual < expected),
    "after": _by_time(lambda actual, expected: actual > expected),
}


class Condition(BaseModel):
    """A condition. `name`: a field, or several, one of which has to match."""

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
