"""Gives each request an id, for logs and support requests, and a span."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from uuid import uuid4

from cairn.telemetry.context import bind_ids
from cairn.telemetry.tracing import request_span

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
HEADER: Final = b"x-request-id"


class Identified:
    """Middleware that assigns request ids. An id sent by the client is ignored: it could be anybody's."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (HEADER, identity.encode())]
            await send(message)

        with bind_ids(request_id=identity), request_span(scope["method"]):
            await self._app(scope, receive, send_with_id)
