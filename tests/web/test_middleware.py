"""Several layers as one do what Django would do with each of them, and take a thread only where they must."""

import asyncio
import threading
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.deprecation import MiddlewareMixin

from web.http.middleware import Layers, ViewsMiddleware

SEEN: list[tuple[str, str, bool]] = []
"""Layer, request or response, and whether it was in the thread of the server's loop."""


def noted(layer: str, what: str) -> None:
    SEEN.append((layer, what, threading.current_thread() is threading.main_thread()))


class Outer(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        noted("outer", "request")
        if request.path == "/refused":
            raise SuspiciousOperation
        return HttpResponse("outer") if request.path == "/answered" else None

    def process_response(self, _request: HttpRequest, response: HttpResponse) -> HttpResponse:
        noted("outer", "response")
        response.headers["X-Outer"] = "yes"
        return response


class Inner(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        noted("inner", "request")
        if request.path == "/broken":
            raise SuspiciousOperation

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        noted("inner", "response")
        if request.path == "/torn":
            raise SuspiciousOperation
        response.headers["X-Inner"] = "yes"
        return response


class Both(Layers):
    reads_sessions = True
    layers = (Outer, Inner)


class Headers(Both):
    reads_sessions = False


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def answered(path: str, middleware: type[Layers] = Both, **extra: Any) -> HttpResponseBase:
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("view")

    async def ask() -> HttpResponseBase:
        response: HttpResponseBase = await middleware(view)(AsyncRequestFactory().get(path, **extra))  # type: ignore[misc]
        return response

    return asyncio.run(ask())


def answered_synchronously(path: str) -> HttpResponseBase:
    response = Both(lambda _request: HttpResponse("view"))(RequestFactory().get(path))
    assert isinstance(response, HttpResponseBase)
    return response


def order() -> list[tuple[str, str]]:
    return [(layer, what) for layer, what, _ in SEEN]


@pytest.mark.parametrize("ask", [answered, answered_synchronously])
def test_each_sees_the_request_inwards_and_the_response_outwards(ask: Any) -> None:
    assert ask("/").content == b"view"
    assert order() == [
        ("outer", "request"),
        ("inner", "request"),
        ("inner", "response"),
        ("outer", "response"),
    ]


@pytest.mark.parametrize("ask", [answered, answered_synchronously])
def test_response_of_a_layer_skips_inner_layers(ask: Any) -> None:
    response = ask("/answered")
    assert response.content == b"outer"
    assert order() == [("outer", "request"), ("outer", "response")]


@pytest.mark.parametrize("ask", [answered, answered_synchronously])
@pytest.mark.parametrize(("path", "outer"), [("/refused", False), ("/broken", True), ("/torn", True)])
def test_exception_of_a_layer_becomes_a_response_seen_by_outer_layers(
    ask: Any, path: str, outer: bool
) -> None:
    response = ask(path)
    assert response.status_code == 400
    assert ("X-Outer" in response.headers) is outer
    assert "X-Inner" not in response.headers


def test_request_without_a_session_uses_no_thread() -> None:
    answered("/")
    assert all(in_loop for _, _, in_loop in SEEN)
    SEEN.clear()
    answered("/", headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}=one"})
    assert not any(in_loop for _, _, in_loop in SEEN)


def test_layers_without_session_access_use_no_thread() -> None:
    answered("/", Headers, headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}=one"})
    assert len(SEEN) == 4
    assert all(in_loop for _, _, in_loop in SEEN)


def test_new_session_is_saved_in_a_thread() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        request.session = type("Session", (), {"modified": True})()
        return HttpResponse("view")

    async def ask() -> None:
        await Both(view)(AsyncRequestFactory().get("/"))  # type: ignore[misc]

    asyncio.run(ask())
    assert [in_loop for _, _, in_loop in SEEN] == [True, True, False, False]


def test_form_is_read_in_a_thread_unless_exempt_from_csrf() -> None:
    where: list[bool] = []

    class Layer:
        def process_view(self, *_args: object) -> HttpResponse:
            where.append(threading.current_thread() is threading.main_thread())
            return HttpResponse("no token", status=403)

    def exempt(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("view")

    exempt.csrf_exempt = True  # type: ignore[attr-defined]

    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("view")

    async def ask() -> None:
        middleware = ViewsMiddleware(view)
        middleware._layers = [Layer()]
        requests = AsyncRequestFactory()
        for request, asked in (
            (requests.post("/"), view),
            (requests.post("/"), exempt),
            (requests.get("/"), view),
        ):
            response = await middleware.process_view(request, asked, (), {})  # type: ignore[misc]
            assert response is not None
            assert response.status_code == 403

    asyncio.run(ask())
    assert where == [False, True, True]
