"""Paginated lists: `startIndex` counts from 1, `count` is limited."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from scim2_models import Context, InvalidFilterException, ListResponse, Resource, SearchRequest

from web.api.framework.request_parser import check_text
from web.protocols.scim.filters import LONGEST, Conditions, condition_of
from web.protocols.scim.resources import PER_PAGE
from web.protocols.scim.responses import Asked

M = TypeVar("M", bound=Model)
FARTHEST = 1_000_000_000
TAKEN = ("filter", "attributes", "excludedAttributes", "startIndex", "count")


def parse_query(request: HttpRequest, kind: type[Resource[Any]]) -> Asked:
    sent = {name: request.GET[name] for name in TAKEN if name in request.GET}
    check_text(sent, "query")
    if len(sent.get("filter", "")) > LONGEST:
        raise InvalidFilterException(detail=f"A filter has {LONGEST} characters at most.")
    asked: Asked = _search_of(kind).model_validate(sent)
    return asked


@cache
def _search_of(kind: type[Resource[Any]]) -> Any:
    """Return the request model, cached, as Pydantic would rebuild it at a higher cost than the response."""
    return SearchRequest.__class_getitem__(kind)


def build_page(
    rows: "QuerySet[M]", asked: Asked, conditions: Conditions, show: Callable[[M], Resource[Any]]
) -> dict[str, Any]:
    """Return one page in a stable order."""
    if asked.filter is not None:
        rows = rows.filter(condition_of(asked.filter, conditions))
    begin = min(asked.start_index_0 or 0, FARTHEST)
    count = PER_PAGE if asked.count is None else min(asked.count, PER_PAGE)
    found = [show(row) for row in rows.order_by("created_at", "id")[begin : begin + count]]
    return envelope(found, asked, total=rows.count(), begin=begin)


def envelope(
    found: Iterable[Resource[Any]], asked: Asked | None, *, total: int, begin: int = 0
) -> dict[str, Any]:
    shown = [
        each.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked) for each in found
    ]
    return {
        "schemas": [str(ListResponse.__schema__)],
        "totalResults": total,
        "startIndex": begin + 1,
        "itemsPerPage": len(shown),
        "Resources": shown,
    }
