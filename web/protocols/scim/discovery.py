"""Service discovery: supported features, schemas and resource types."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from scim2_models import Context, Meta, Resource

from cairn.access.scope import Principal
from cairn.errors import Forbidden, NotFound
from web.protocols.scim.pagination import envelope
from web.protocols.scim.resources import CONFIG, PROVIDER
from web.protocols.scim.responses import Endpoint, endpoint, resource_response, scim_response

SCHEMAS = {str(schema.id): schema for schema in PROVIDER.schemas}
RESOURCE_TYPES = {str(kind.id): kind for kind in PROVIDER.resource_types}


def _add_location(request: HttpRequest, resource: Resource[Any], route: str, *parts: str) -> Resource[Any]:
    place = request.build_absolute_uri(reverse(f"scim:{route}", args=parts))
    meta = Meta(resource_type=type(resource).__name__, location=place)
    return resource.model_copy(update={"meta": meta})


def _config(request: HttpRequest, _principal: Principal) -> HttpResponse:
    return resource_response(_add_location(request, CONFIG, "config"), Context.RESOURCE_QUERY_RESPONSE)


def _all(found: dict[str, Any], route: str) -> Endpoint[...]:
    def every(request: HttpRequest, _principal: Principal) -> HttpResponse:
        if "filter" in request.GET:
            raise Forbidden("What this service can do is not filtered.")
        resources: Sequence[Any] = [_add_location(request, each, route, name) for name, each in found.items()]
        return scim_response(envelope(resources, None, total=len(resources)))

    return every


def _one(found: dict[str, Any], route: str) -> Endpoint[...]:
    def single(request: HttpRequest, _principal: Principal, **parts: str) -> HttpResponse:
        [name] = parts.values()
        if name not in found:
            raise NotFound
        return resource_response(
            _add_location(request, found[name], route, name), Context.RESOURCE_QUERY_RESPONSE
        )

    return single


def _nothing(_request: HttpRequest, _principal: Principal, **_parts: str) -> HttpResponse:
    raise NotFound


config = endpoint(get=_config)
schemas, schema = endpoint(get=_all(SCHEMAS, "schema")), endpoint(get=_one(SCHEMAS, "schema"))
resource_types = endpoint(get=_all(RESOURCE_TYPES, "resource-type"))
resource_type = endpoint(get=_one(RESOURCE_TYPES, "resource-type"))
nothing = endpoint(get=_nothing, post=_nothing, put=_nothing, patch=_nothing, delete=_nothing)
