"""The ASGI application, for uvicorn."""

import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application
from django.http import HttpRequest

from cairn.errors import CairnError, MalformedRequest, PayloadTooLarge
from cairn.http.proxy_headers import Forwarded
from cairn.http.webhook_limits import WEBHOOK_BYTES, WEBHOOK_PATH
from cairn.settings import environment
from cairn.telemetry.request_tracing import Identified

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

_ARRIVED = "cairn.arrived"
FORM_BYTES = 1 << 20  # what a form has around its file


def get_arrival_time(request: HttpRequest) -> float | None:
    """Return when the request's headers arrived, before its body, as `time.monotonic`; None if unknown."""
    moment: float | None = getattr(request, "scope", {}).get(_ARRIVED)
    return moment


async def _refuse(send: Send, error: CairnError) -> None:
    """Send the problem document and close the connection."""
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error.problem()).encode()})


class UnambiguousLength:
    """Refuses requests whose end a proxy could see elsewhere than the server does (request smuggling).

    h11 refuses contradicting and malformed lengths itself, but lets `Transfer-Encoding` win over a length
    next to it, and accepts it in HTTP/1.0. RFC 9112 6.1 treats both as an attack or an error. The
    connection is closed, since nobody can tell what the bytes that follow belong to.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_ambiguous(scope):
            detail = "The request must state the length of its body in exactly one way."
            await _refuse(send, MalformedRequest(detail))
            return
        await self._app(scope, receive, send)


def _is_ambiguous(scope: Message) -> bool:
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" not in names:
        return names.count(b"content-length") > 1
    return b"content-length" in names or scope["http_version"] == "1.0"


class BodyLimit:
    """Turns oversized bodies away while they come: Django would write them to disk before any view runs."""

    def __init__(self, app: App, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        scope[_ARRIVED] = time.monotonic()
        limit = self._limit_of(scope)
        if scope["type"] == "http" and self._read_content_length(scope) > limit:
            await self._refuse(send, limit)
            return
        exchange = _Exchange(receive, send, limit)
        await self._app(scope, exchange.receive, exchange.send)
        if exchange.too_large and not exchange.answered:
            await self._refuse(send, limit)

    def _limit_of(self, scope: Message) -> int:
        is_webhook = scope["type"] == "http" and scope["path"].startswith(WEBHOOK_PATH)
        return min(WEBHOOK_BYTES, self._limit) if is_webhook else self._limit

    def _read_content_length(self, scope: Message) -> int:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    async def _refuse(self, send: Send, limit: int) -> None:
        await _refuse(send, PayloadTooLarge(f"Requests can be up to {limit >> 20} MB."))


class _Exchange:
    """A body that came without a length ends, for the application, as if its sender had hung up."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._left = limit
        self.answered = False

    @property
    def too_large(self) -> bool:
        return self._left < 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.too_large else message

    async def send(self, message: Message) -> None:
        self.answered = True
        await self._send(message)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cairn.settings.django")
application = Identified(
    UnambiguousLength(
        Forwarded(
            BodyLimit(get_asgi_application(), limit=(environment().upload_max_mb << 20) + FORM_BYTES),
            trusted=environment().trusted_proxies,
        )
    )
)
