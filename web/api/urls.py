"""Routes of the REST API, below api/."""

import time
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt

from web.api.api import api
from web.api.metrics import request_counted
from web.api.problems import MethodNotAllowed, problem, unknown_route

View = Callable[..., Any]


def _finished(request: HttpRequest, response: HttpResponseBase, route: str, began: float) -> HttpResponseBase:
    if isinstance(response, HttpResponseNotAllowed):
        allowed = response["Allow"]
        response = problem(MethodNotAllowed())
        response["Allow"] = allowed
    request_counted(method=request.method or "", route=route, status=response.status_code, began=began)
    return response


def _guarded(view: View, route: str) -> View:
    """Counts calls, and answers a wrong method with a problem document."""
    if iscoroutinefunction(view):

        async def guarded_async(request: HttpRequest, **parts: str) -> HttpResponseBase:
            began = time.perf_counter()
            return _finished(request, await view(request, **parts), route, began)

        return wraps(view)(guarded_async)

    def guarded(request: HttpRequest, **parts: str) -> HttpResponseBase:
        began = time.perf_counter()
        return _finished(request, view(request, **parts), route, began)

    return wraps(view)(guarded)


def _patterns() -> list[URLPattern]:
    patterns, _, _ = api.urls
    found = [pattern for pattern in patterns if isinstance(pattern, URLPattern)]
    for pattern in found:
        if pattern.name != "api-root":
            pattern.callback = _guarded(pattern.callback, str(pattern.pattern))
    return found


app_name = api.urls_namespace
urlpatterns = [
    *_patterns(),
    re_path(r"^(?P<rest>.*)$", csrf_exempt(unknown_route)),
]
