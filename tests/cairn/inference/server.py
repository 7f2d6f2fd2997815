"""A fake model server whose responses a test defines."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.threaded_server import SilentRequests, ThreadedServer

Body = dict[str, Any]


class Exchange:
    """A request, with methods to respond to it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: Body) -> None:
        self._handler = handler
        self.path = handler.path
        self.authorization = handler.headers.get("Authorization")
        self.body = body

    def answer(self, body: Any, status: int = 200) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", "application/json")
        self._handler.send_header("Content-Length", str(len(content)))
        self._handler.end_headers()
        self._handler.wfile.write(content)

    def start_stream(self, *, promised_bytes: int | None = None) -> None:
        """Ends when the handler returns: too early, if it has promised more."""
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("Connection", "close")
        if promised_bytes:
            self._handler.send_header("Content-Length", str(promised_bytes))
        self._handler.end_headers()
        self._handler.close_connection = True

    def event(self, data: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        self._handler.wfile.write(f"data: {text}\n\n".encode())
        self._handler.wfile.flush()

    def delta(self, text: str) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        self.event(
            {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        )

    def done(self, reason: str = "stop") -> None:
        """The end of a whole answer."""
        choice = {"index": 0, "delta": {}, "finish_reason": reason}
        self.event(
            {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        )
        self.event("[DONE]")

    def write(self, *pieces: str) -> None:
        """A whole answer."""
        self.start_stream()
        for piece in pieces:
            self.delta(piece)
        self.done()

    def wait_for_hangup(self) -> None:
        self._handler.close_connection = True
        while self._handler.rfile.read(1):
            pass


class FakeServer(ThreadedServer):
    """A model server.

    `respond` is called for each POST, in the server's thread, and `exchanges` records them. `pages`:
    responses to GET, by path.
    """

    def __init__(self) -> None:
        self.respond: Callable[[Exchange], None] = lambda exchange: exchange.answer({}, 404)
        self.exchanges: list[Exchange] = []
        self.pages: dict[str, Any] = {}
        fake = self

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or a word waits until the one before is acknowledged

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                exchange = Exchange(self, body)
                fake.exchanges.append(exchange)
                fake.respond(exchange)

            def do_GET(self) -> None:
                page = fake.pages.get(self.path)
                Exchange(self, {}).answer({} if page is None else page, 404 if page is None else 200)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        super().__init__(self._server)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"
