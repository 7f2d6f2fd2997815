"""Cursor pagination: a cursor names the last item seen, so that changes to the list shift nothing."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_noop
from pydantic import BaseModel, Field

from web.api.framework.fields import as_utc
from web.api.framework.problems import InvalidFields, invalid_field

M = TypeVar("M", bound=Model)
T = TypeVar("T")
DEFAULT_LIMIT = 50
MAX_LIMIT = 200
CURSOR = 4000  # characters: one may hold a title
LONGEST_NUMBER = 18  # digits


class PageQuery(BaseModel):
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Maximum number of items to return")
    cursor: str = Field("", max_length=CURSOR, description="`next_cursor` of the previous response")


class Page(BaseModel, Generic[T]):
    """`next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Slice(Generic[M]):
    rows: Sequence[M]
    next_cursor: str | None


def page_of(
    rows: "QuerySet[M, Any]", query: PageQuery, *, by: str = "created_at", newest_first: bool = False
) -> Slice[M]:
    """Return one page, ordered by a time and the id."""
    if query.cursor:
        at, identity = _decode(query.cursor)
        than = "lt" if newest_first else "gt"
        rows = rows.filter(Q(**{f"{by}__{than}": at}) | Q(**{by: at, f"id__{than}": identity}))
    sign = "-" if newest_first else ""
    found = list(rows.order_by(f"{sign}{by}", f"{sign}id")[: query.limit + 1])
    shown = found[: query.limit]
    more = len(found) > query.limit
    return Slice(shown, _encode(getattr(shown[-1], by), shown[-1].pk) if more else None)


def numbered_page(
    rows: "QuerySet[M, Any]", query: PageQuery, *, by: str, newest_first: bool = False
) -> Slice[M]:
    """Return one page, ordered by a unique number."""
    if query.cursor:
        than = "lt" if newest_first else "gt"
        rows = rows.filter(**{f"{by}__{than}": _decode_number(query.cursor)})
    found = list(rows.order_by(f"-{by}" if newest_first else by)[: query.limit + 1])
    shown = found[: query.limit]
    more = len(found) > query.limit
    return Slice(shown, _encode_number(getattr(shown[-1], by)) if more else None)


@dataclass(frozen=True, slots=True)
class Key:
    """One field of an order. `read` restores its value from JSON, or raises ValueError or TypeError."""

    field: str
    read: Callable[[Any], Any]
    descending: bool = False


def keyset_page(rows: "QuerySet[M, Any]", query: PageQuery, keys: Sequence[Key]) -> Slice[M]:
    """Return one page, ordered by several fields, the last of which is unique."""
    if query.cursor:
        rows = rows.filter(_match_later(keys, _decode_keys(query.cursor, keys)))
    order = [f"-{key.field}" if key.descending else key.field for key in keys]
    found = list(rows.order_by(*order)[: query.limit + 1])
    shown = found[: query.limit]
    more = len(found) > query.limit
    return Slice(shown, _encode_keys(shown[-1], keys) if more else None)


def _match_later(keys: Sequence[Key], values: Sequence[Any]) -> Q:
    """Match rows later in the order: equal in some first fields, and greater in the next."""
    beyond = Q(pk__in=())
    equal = Q()
    for key, value in zip(keys, values, strict=True):
        than = "lt" if key.descending else "gt"
        beyond |= equal & Q(**{f"{key.field}__{than}": value})
        equal &= Q(**{key.field: value})
    return beyond


def _encode_keys(row: Model, keys: Sequence[Key]) -> str:
    text = json.dumps([getattr(row, key.field) for key in keys], default=str, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_keys(cursor: str, keys: Sequence[Key]) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        return [key.read(value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _invalid_cursor() from error


def read_moment(value: Any) -> datetime:
    return as_utc(datetime.fromisoformat(value))


def read_id(value: Any) -> UUID:
    return UUID(hex=value)


def read_small(value: Any) -> int:
    if type(value) is not int or abs(value) > 1000:
        raise ValueError
    return value


def read_text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()  # half a surrogate pair
    return value


def _encode_number(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def _decode_number(cursor: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except ValueError as error:
        raise _invalid_cursor() from error
    if not (text.isdecimal() and len(text) <= LONGEST_NUMBER):
        raise _invalid_cursor()
    return int(text)


def _invalid_cursor() -> InvalidFields:
    return invalid_field("query", "cursor", message=gettext_noop("This isn’t a cursor of this list."))


def _encode(at: datetime, identity: UUID) -> str:
    text = json.dumps([at.isoformat(), identity.hex])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        at, identity = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        return read_moment(at), UUID(hex=identity)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _invalid_cursor() from error
