"""URL patterns of an API with request metrics and errors in the API's format."""

import time
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from ninja import NinjaAPI

from cairn.errors import CairnError
from cairn.telemetry.tracing import request_routed
from web.api.framework.metrics import request_counted
from web.api.framework.problems import MethodNotAllowed
from web.http.authentication import visible_error

View = Callable[..., Any]
RenderError = Callable[[CairnError], HttpResponse]
RefuseMethod = Callable[[HttpRequest, HttpResponseNotAllowed], HttpResponse]


def patterns_of(api: NinjaAPI, render_error: RenderError, *, sessions: bool = False) -> list[URLPattern]:
    """Return the API's patterns. `render_error` builds error responses. `sessions`: also accept sessions."""

    def refuse_method(request: HttpRequest, response: HttpResponseNotAllowed) -> HttpResponse:
        error = visible_error(request, MethodNotAllowed(), sessions=sessions)
        refusal = render_error(error)
        if isinstance(error, MethodNotAllowed):
            refusal["Allow"] = response["Allow"]
        return refusal

    patterns, _, _ = api.urls
    found = [pattern for pattern in patterns if isinstance(pattern, URLPattern)]
    for pattern in found:
        if pattern.name != "api-root":
            pattern.callback = _count_requests(pattern.callback, str(pattern.pattern), refuse_method)
    return found


def _count_requests(view: View, route: str, refuse_method: RefuseMethod) -> View:
    if iscoroutinefunction(view):

        async def call_async(request: HttpRequest, **parts: str) -> HttpResponseBase:
            began = time.perf_counter()
            response = await view(request, **parts)
            if isinstance(response, HttpResponseNotAllowed):
                response = await sync_to_async(refuse_method)(request, response)
            return _record_response(request, response, route, began)

        return wraps(view)(call_async)

    def call(request: HttpRequest, **parts: str) -> HttpResponseBase:
        began = time.perf_counter()
        response = view(request, **parts)
        if isinstance(response, HttpResponseNotAllowed):
            response = refuse_method(request, response)
        return _record_response(request, response, route, began)

    return wraps(view)(call)


def _record_response(
    request: HttpRequest, response: HttpResponseBase, route: str, began: float
) -> HttpResponseBase:
    request_routed(request.method or "", route, response.status_code)
    request_counted(method=request.method or "", route=route, status=response.status_code, began=began)
    return response
