"""Requests to the server over streamable HTTP, with one JSON response for each."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from web.http.authentication import principal_of
from web.protocols.mcp.server import CALLER, SERVER
from web.protocols.mcp.tools import Caller

Message = MutableMapping[str, Any]


async def handle_request(request: HttpRequest) -> HttpResponse:
    caller = Caller(principal_of(request), request.build_absolute_uri("/").rstrip("/"))
    exchange = _Exchange(request.body)
    manager = StreamableHTTPSessionManager(SERVER, json_response=True, stateless=True)
    async with manager.run():
        await manager.handle_request(_scope(request, caller), exchange.receive, exchange.send)
    return exchange.response


def _scope(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    named = [(name.lower().encode(), value.encode("utf-8")) for name, value in request.headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": b"",
        "headers": named,
        CALLER: caller,
    }


class _Exchange:
    """An ASGI exchange with the request body already read, and the response buffered."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    async def receive(self) -> Message:
        """Return the body. Nothing follows, as disconnects cancel this request."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
        else:
            self._parts.append(message.get("body", b""))

    @property
    def response(self) -> HttpResponse:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers}
        headers.pop("content-length", None)
        return HttpResponse(b"".join(self._parts), status=self._status, headers=headers)
