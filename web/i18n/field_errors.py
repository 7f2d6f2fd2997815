"""Texts for errors in fields, in plain words and in the reader's language, by the types of pydantic."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext, gettext_noop

from web.i18n.localize import localize, number

_EMPTY: Final = gettext_noop("Fill in this field.")
_TEXT: Final = gettext_noop("Enter text.")
_WHOLE_NUMBER: Final = gettext_noop("Enter a whole number.")
_NUMBER: Final = gettext_noop("Enter a number.")
_DATE: Final = gettext_noop("Enter a date.")
_MOMENT: Final = gettext_noop("Enter a date and a time.")
_CHOICE: Final = gettext_noop("Choose one of the options.")
_FLAG: Final = gettext_noop("Choose yes or no.")
_ADDRESS: Final = gettext_noop("Enter an address such as https://files.example.org.")
OTHER_ERROR: Final = gettext_noop("Check this value.")

FIELD_ERRORS: Final[Mapping[str, str]] = {
    "missing": _EMPTY,
    "string_type": _TEXT,
    "string_too_short": gettext_noop("Use at least {min_length} characters."),
    "string_too_long": gettext_noop("Use at most {max_length} characters."),
    "too_short": gettext_noop("Enter at least {min_length} entries."),
    "too_long": gettext_noop("Enter at most {max_length} entries."),
    "int_parsing": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing_size": gettext_noop("Enter a smaller number."),
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "decimal_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_max_digits": gettext_noop("Use at most {max_digits} digits."),
    "decimal_max_places": gettext_noop("Use at most {decimal_places} decimal places."),
    "decimal_whole_digits": gettext_noop("Enter a smaller number."),
    "multiple_of": gettext_noop("Enter a multiple of {multiple_of}."),
    "greater_than": gettext_noop("Enter more than {gt}."),
    "greater_than_equal": gettext_noop("Enter at least {ge}."),
    "less_than": gettext_noop("Enter less than {lt}."),
    "less_than_equal": gettext_noop("Enter at most {le}."),
    "bool_parsing": _FLAG,
    "bool_type": _FLAG,
    "date_from_datetime_inexact": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_parsing": _DATE,
    "date_type": _DATE,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_type": _MOMENT,
    "timezone_aware": gettext_noop("Enter a date and a time with its time zone."),
    "literal_error": _CHOICE,
    "enum": _CHOICE,
    "uuid_parsing": _CHOICE,
    "uuid_type": _CHOICE,
    "url_parsing": _ADDRESS,
    "url_scheme": _ADDRESS,
    "url_syntax_violation": _ADDRESS,
    "url_too_long": gettext_noop("Use at most {max_length} characters."),
    "url_type": _ADDRESS,
    "extra_forbidden": gettext_noop("There is no such option."),
}
"""Texts by type. Types that people can't cause in a form have the text `OTHER_ERROR`."""


def describe_field_error(error: Mapping[str, Any]) -> str:
    """Describe an error of pydantic. Our own texts are translated, others are replaced."""
    problem = _describe(error)
    place = error["loc"][-1] if error["loc"] else None
    if isinstance(place, int):
        return gettext("Entry {n}: {problem}").format(n=number(place + 1), problem=problem)
    return problem


def _describe(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "value_error":
        return localize(error["msg"].removeprefix("Value error, "))
    text = _EMPTY if context.get("min_length") == 1 else FIELD_ERRORS.get(kind, OTHER_ERROR)
    return gettext(text).format(**{name: _format(value) for name, value in context.items()})


def _format(value: object) -> str:
    if isinstance(value, Decimal):
        value = float(value)
    return number(value) if isinstance(value, int | float) else str(value)
