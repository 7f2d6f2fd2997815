"""Middleware, mostly Django's own, combined into two layers.

Each separate layer takes a thread on the way in and out of an asynchronous server: 17 times per request, to
set a few attributes and headers. Combined they take one each way if the database may be needed, which is with
a session, and none for requests with a key.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, ParamSpec, TypeVar, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

from web.http.security_headers import HeadersMiddleware
from web.i18n.languages import LanguageMiddleware

Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]
View = Callable[..., HttpResponseBase]
P = ParamSpec("P")
R = TypeVar("R")
_READS: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


class Layers:
    """Several middleware classes applied as one, in Django's order."""

    sync_capable = True
    async_capable = True
    layers: ClassVar[Sequence[type[MiddlewareMixin]]]
    reads_sessions: ClassVar[bool]
    """Whether one of them may ask the database for the session, or for who it is."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response
        self._layers: list[Any] = [layer(_fail_if_called) for layer in self.layers]
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._later(request)
        response, reached = self._process_request(request)
        if response is None:
            response = cast("HttpResponseBase", self._get_response(request))
        return self._process_response(request, response, reached)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        threaded = self.reads_sessions and _may_read(request)
        enter = sync_to_async(self._process_request) if threaded else _directly(self._process_request)
        response, reached = await enter(request)
        if response is None:
            response = await cast("Awaitable[HttpResponseBase]", self._get_response(request))
        threaded = threaded or (self.reads_sessions and _may_write(request))
        leave = sync_to_async(self._process_response) if threaded else _directly(self._process_response)
        return await leave(request, response, reached)

    def _process_request(self, request: HttpRequest) -> tuple[HttpResponseBase | None, int]:
        """Return the response of a layer, if any, and the number of layers that process the response."""
        for place, layer in enumerate(self._layers):
            if not hasattr(layer, "process_request"):
                continue
            try:
                response = layer.process_request(request)
            except Exception as error:  # noqa: BLE001 - as Django does around each layer
                return response_for_exception(request, error), place
            if response is not None:
                return response, place + 1
        return None, len(self._layers)

    def _process_response(
        self, request: HttpRequest, response: HttpResponseBase, reached: int
    ) -> HttpResponseBase:
        for layer in reversed(self._layers[:reached]):
            if not hasattr(layer, "process_response"):
                continue
            try:
                response = layer.process_response(request, response)
            except Exception as error:  # noqa: BLE001 - as Django does around each layer
                response = response_for_exception(request, error)
        return response


def _fail_if_called(_request: HttpRequest) -> HttpResponseBase:
    raise AssertionError("the layers are asked one by one")


def _may_read(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def _may_write(request: HttpRequest) -> bool:
    """Return whether the session was created or may be written."""
    return bool(getattr(getattr(request, "session", None), "modified", False))


def _directly(call: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    async def call_directly(*args: P.args, **kwargs: P.kwargs) -> R:
        return call(*args, **kwargs)

    return call_directly


class EverywhereMiddleware(Layers):
    """Layers for all responses, including static files."""

    reads_sessions = False
    layers = (HeadersMiddleware, SecurityMiddleware, XFrameOptionsMiddleware)


class ViewsMiddleware(Layers):
    reads_sessions = True
    layers = (
        CSPMiddleware,
        SessionMiddleware,
        CommonMiddleware,
        CsrfViewMiddleware,
        AuthenticationMiddleware,
        LanguageMiddleware,
        MessageMiddleware,
    )

    def __init__(self, get_response: Handler) -> None:
        super().__init__(get_response)
        self.process_view = self._view_later if self._is_async else self._view

    def _view(
        self, request: HttpRequest, view: View, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> HttpResponseBase | None:
        for layer in self._layers:
            if hasattr(layer, "process_view"):
                response: HttpResponseBase | None = layer.process_view(request, view, args, kwargs)
                if response is not None:
                    return response
        return None

    async def _view_later(
        self, request: HttpRequest, view: View, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> HttpResponseBase | None:
        """Run the CSRF check in a thread, as it reads the whole form, from the disk if large."""
        checked = request.method not in _READS and not getattr(view, "csrf_exempt", False)
        enter = sync_to_async(self._view) if checked else _directly(self._view)
        return await enter(request, view, args, kwargs)
