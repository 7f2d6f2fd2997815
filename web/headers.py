"""Headers that every response has, static files among them."""

from collections.abc import Awaitable, Callable
from typing import Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from web.ending import draining

HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PRIVATE: Final = "private, no-store"
Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class HeadersMiddleware:
    """What is answered is for who asked alone, unless its view says how it may be kept."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._later(request)
        return _completed(request, cast("HttpResponseBase", self._get_response(request)))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        return _completed(request, await cast("Awaitable[HttpResponseBase]", self._get_response(request)))


def _completed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.path_info.startswith(settings.STATIC_URL):
        response.headers.setdefault("Cache-Control", PRIVATE)
    if draining.is_set():
        response.headers["Connection"] = "close"  # the next request goes to a process that stays
    return response
