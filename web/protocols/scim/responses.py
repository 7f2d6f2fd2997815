"""SCIM responses and errors (RFC 7644), and authentication by an admin's key with the scope admin."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from pydantic import ValidationError
from scim2_models import Context, Error, Resource, SCIMException, SearchRequest

from cairn.access.scope import Principal
from cairn.errors import CairnError, InvalidInput, MalformedRequest, NotSignedIn, Taken, TransientError
from web.api.framework.problems import MethodNotAllowed, as_cairn_error
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
            return error_answer(error)
        return _wrong_method(response) if isinstance(response, HttpResponseNotAllowed) else response

    return view


def _principal(request: HttpRequest) -> Principal:
    principal = _admins_key(request)
    if principal is None:
        raise NotSignedIn
    return principal


def _wrong_method(refused: HttpResponse) -> HttpResponse:
    response = error_answer(MethodNotAllowed())
    response["Allow"] = refused["Allow"]
    return response


def body_of(request: HttpRequest) -> Any:
    data = json_load(request.body)
    check_text(data, "body")
    return data


def answer(data: Any, *, status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(data), status=status, content_type=MEDIA_TYPE)


def resource_answer(resource: Resource[Any], context: Context, asked: Asked | None = None) -> HttpResponse:
    data = resource.model_dump(scim_ctx=context, response_parameters=asked)
    if context is not Context.RESOURCE_CREATION_RESPONSE:
        return answer(data)
    response = answer(data, status=201)
    if resource.meta is not None and resource.meta.location:
        response["Location"] = resource.meta.location
    return response


def error_answer(error: Exception) -> HttpResponse:
    if isinstance(error, SCIMException):
        return _error_response(error.to_error())
    if isinstance(error, ValidationError):
        return _error_response(Error.from_validation_errors(error.errors(include_input=False))[0])
    known = as_cairn_error(error)
    response = _error_response(
        Error(status=_status(known), scim_type=_scim_type(known), detail=known.message)
    )
    if isinstance(known, NotSignedIn):
        response["WWW-Authenticate"] = "Bearer"
    if isinstance(known, TransientError):
        response["Retry-After"] = str(known.retry_after)
    return response


def _error_response(error: Error) -> HttpResponse:
    return answer(error.model_dump(), status=error.status or 500)


def _status(error: CairnError) -> int:
    return 400 if error.status == InvalidInput.status else error.status


def _scim_type(error: CairnError) -> str | None:
    if isinstance(error, Taken):
        return "uniqueness"
    if isinstance(error, MalformedRequest):
        return "invalidSyntax"
    return "invalidValue" if error.status == InvalidInput.status else None
