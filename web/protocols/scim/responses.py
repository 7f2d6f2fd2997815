"""SCIM responses and errors (RFC 7644), and authentication by an admin's key with the scope admin."""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from pydantic import ValidationError
from scim2_models import Context, Error, Resource, SCIMException, SearchRequest

from cairn.access.scope import Principal
from cairn.errors import CairnError, InvalidInput, MalformedRequest, NotSignedIn, Taken
from web.api.framework.problems import MethodNotAllowed, as_cairn_error, error_headers
from web.api.framework.request_parser import check_text, json_load
from web.http.authentication import BearerKey
from web.protocols.scim.resources import PROVIDER

MEDIA_TYPE = "application/scim+json"
P = ParamSpec("P")
Endpoint = Callable[Concatenate[HttpRequest, Principal, P], HttpResponse]
View = Callable[..., HttpResponse]
Asked = SearchRequest[Any]
_admins_key = BearerKey(admin=True)


def endpoint(**by_method: Endpoint[...]) -> View:
    """Build a view from one function for each method."""

    @require_http_methods([name.upper() for name in by_method])
    def dispatch_method(request: HttpRequest, principal: Principal, **parts: str) -> HttpResponse:
        return by_method[str(request.method).lower()](request, principal, **parts)

    @csrf_exempt  # no cookie counts here
    @never_cache
    @wraps(dispatch_method)
    def view(request: HttpRequest, **parts: str) -> HttpResponse:
        try:
            with PROVIDER:
                response = dispatch_method(request, _principal(request), **parts)
        except Exception as error:  # noqa: BLE001 the request's outermost boundary
            return error_response(error)
        return _wrong_method(response) if isinstance(response, HttpResponseNotAllowed) else response

    return view


def _principal(request: HttpRequest) -> Principal:
    principal = _admins_key(request)
    if principal is None:
        raise NotSignedIn
    return principal


def _wrong_method(refused: HttpResponse) -> HttpResponse:
    response = error_response(MethodNotAllowed())
    response["Allow"] = refused["Allow"]
    return response


def body_of(request: HttpRequest) -> Any:
    data = json_load(request.body)
    check_text(data, "body")
    return data


def scim_response(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(json.dumps(data), status=status, content_type=MEDIA_TYPE, headers=headers)


def resource_response(resource: Resource[Any], context: Context, asked: Asked | None = None) -> HttpResponse:
    data = resource.model_dump(scim_ctx=context, response_parameters=asked)
    if context is not Context.RESOURCE_CREATION_RESPONSE:
        return scim_response(data)
    response = scim_response(data, status=201)
    if resource.meta is not None and resource.meta.location:
        response["Location"] = resource.meta.location
    return response


def error_response(error: Exception) -> HttpResponse:
    if isinstance(error, SCIMException):
        return _error_response(error.to_error())
    if isinstance(error, ValidationError):
        return _error_response(Error.from_validation_errors(error.errors(include_input=False))[0])
    known = as_cairn_error(error)
    described = Error(status=_status(known), scim_type=_scim_type(known), detail=known.message)
    return _error_response(described, headers=error_headers(known))


def _error_response(error: Error, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return scim_response(error.model_dump(), status=error.status or 500, headers=headers)


def _status(error: CairnError) -> int:
    return 400 if error.status == InvalidInput.status else error.status


def _scim_type(error: CairnError) -> str | None:
    if isinstance(error, Taken):
        return "uniqueness"
    if isinstance(error, MalformedRequest):
        return "invalidSyntax"
    return "invalidValue" if error.status == InvalidInput.status else None
