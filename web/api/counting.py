"""What every route of an API goes through: it is counted, and a wrong method gets an error in its shape."""

import time
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from ninja import NinjaAPI

from cairn.errors import CairnError
from cairn.telemetry.tracing import request_routed
from web.api.metrics import request_counted
from web.api.problems import MethodNotAllowed

View = Callable[..., Any]
Told = Callable[[CairnError], HttpResponse]


def patterns_of(api: NinjaAPI, told: Told) -> list[URLPattern]:
    """`told` makes an answer of an error."""
    patterns, _, _ = api.urls
    found = [pattern for pattern in patterns if isinstance(pattern, URLPattern)]
    for pattern in found:
        if pattern.name != "api-root":
            pattern.callback = _counted(pattern.callback, str(pattern.pattern), told)
    return found


def _counted(view: View, route: str, told: Told) -> View:
    if iscoroutinefunction(view):

        async def counted_async(request: HttpRequest, **parts: str) -> HttpResponseBase:
            began = time.perf_counter()
            return _finished(request, await view(request, **parts), route, told, began)

        return wraps(view)(counted_async)

    def counted(request: HttpRequest, **parts: str) -> HttpResponseBase:
        began = time.perf_counter()
        return _finished(request, view(request, **parts), route, told, began)

    return wraps(view)(counted)


def _finished(
    request: HttpRequest, response: HttpResponseBase, route: str, told: Told, began: float
) -> HttpResponseBase:
    if isinstance(response, HttpResponseNotAllowed):
        allowed = response["Allow"]
        response = told(MethodNotAllowed())
        response["Allow"] = allowed
    request_routed(request.method or "", route, response.status_code)
    request_counted(method=request.method or "", route=route, status=response.status_code, began=began)
    return response
