"""Strict parsing of requests: media types, JSON, and text that every database accepts."""

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from django.http import HttpRequest
from django.http.request import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_noop
from ninja.parser import Parser

from cairn.errors import MalformedRequest, UnsupportedMedia
from web.api.framework.problems import InvalidFields

FORMS = ("multipart/form-data",)
MAX_DEPTH = 32
MAX_FAULTS = 10
BAD_TEXT = gettext_noop("Text may contain neither NUL nor lone surrogates.")
Path = tuple[str | int, ...]


class StrictParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise UnsupportedMedia(gettext_noop("This address takes application/json."))
        data = json_load(request.body)
        check_text(data, "body")
        return data

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        if data is not request.GET and request.content_type not in FORMS:
            raise UnsupportedMedia(gettext_noop("This address takes multipart/form-data."))
        if isinstance(data, QueryDict):
            check_text(dict(_values_by_name(data)), "query" if data is request.GET else "form")
        return super().parse_querydict(data, list_fields, request)


def _values_by_name(data: QueryDict) -> Iterator[tuple[str, Any]]:
    """Yield each name with its value, or the list of values if there are several."""
    for name, values in data.lists():
        yield name, values if len(values) > 1 else values[0]


def json_load(text: str | bytes) -> Any:
    """Parse JSON. Raises MalformedRequest for anything else, including NaN and Infinity."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(gettext_noop("The body is not valid JSON.")) from error


def _finite(text: str) -> float:
    """Reject numbers such as `1e400`, which would become infinite."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def check_text(data: Any, *loc: str) -> None:
    """Refuse lone surrogates, NUL, which PostgreSQL does not store, and deep nesting."""
    errors = [
        {"loc": [*loc, *path], "msg": message, "type": "value_error"} for path, message in _faults(data)
    ]
    if errors:
        raise InvalidFields(errors[:MAX_FAULTS])


def _faults(data: Any) -> Iterator[tuple[Path, str]]:
    pending: list[tuple[Path, Any]] = [((), data)]
    while pending:
        path, value = pending.pop()
        if len(path) > MAX_DEPTH:
            yield path[:1], gettext_noop("It is nested too deeply.")
            return
        if isinstance(value, str) and _is_bad(value):
            yield path, BAD_TEXT
        elif isinstance(value, list):
            pending += [((*path, index), item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            if any(map(_is_bad, value)):
                yield path, BAD_TEXT
            pending += [((*path, name), item) for name, item in value.items() if not _is_bad(name)]


def _is_bad(text: str) -> bool:
    return "\0" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text))
