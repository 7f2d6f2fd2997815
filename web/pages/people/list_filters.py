"""Filters and order of the lists of users and groups, as they stand in the address."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from web.pages.shell.decorators import number_in

M = TypeVar("M", bound=Model)
SHOWN: Final = 50
LONGEST: Final = 150
Orders = Mapping[str, tuple[Promise, tuple[str, ...]]]
USER_ORDERS: Final[Orders] = {
    "name": (_("Name"), ("username", "id")),
    "newest": (_("Newest first"), ("-created_at", "id")),
    "oldest": (_("Oldest first"), ("created_at", "id")),
}
GROUP_ORDERS: Final[Orders] = {
    "name": (_("Name"), ("name", "source", "id")),
    "largest": (_("Largest first"), ("-size", "name", "id")),
    "newest": (_("Newest first"), ("-created_at", "id")),
}
STATES: Final[Mapping[str, tuple[Promise, Mapping[str, bool]]]] = {
    "active": (_("Can sign in"), {"is_active": True}),
    "disabled": (_("Disabled"), {"is_active": False}),
    "admins": (_("Administrators"), {"is_admin": True}),
}


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Filters as typed. Unknown ones have no effect."""

    q: str = ""
    state: str = ""
    group: str = ""
    sort: str = ""

    @classmethod
    def read(cls, request: HttpRequest) -> Self:
        return cls(**{each.name: _line(request, each.name) for each in fields(cls)})

    @property
    def rights(self) -> dict[str, bool]:
        return dict(STATES[self.state][1]) if self.state in STATES else {}

    @property
    def query_prefix(self) -> str:
        """The query string of further pages."""
        return "".join(f"{urlencode({name: value})}&" for name, value in asdict(self).items() if value)

    @property
    def in_api(self) -> str:
        """The same filters for the REST API."""
        rights = {name: str(value).lower() for name, value in self.rights.items()}
        values = {"q": self.q, "group": self.group, **rights}
        return urlencode({name: value for name, value in values.items() if value})

    def order(self, orders: Orders) -> tuple[str, ...]:
        return orders.get(self.sort, orders["name"])[1]


def _line(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:LONGEST]


def page_of_rows(request: HttpRequest, rows: "QuerySet[M, Any]") -> "Page[M]":
    return Paginator(rows, SHOWN).get_page(number_in(request.GET.get("page", "")))


def labels(choices: Mapping[str, tuple[Promise, object]]) -> dict[str, Promise]:
    return {name: label for name, (label, _meaning) in choices.items()}
