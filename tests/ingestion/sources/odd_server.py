"""A web server that answers oddly."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Redirect:
    """Redirects to another address."""

    def __init__(self, target: str) -> None:
        self._target = target

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", self._target)
        request.send_header("Content-Length", "0")
        request.end_headers()


class Endless:
    """Sends and sends."""

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b'{"a": "' + b"x" * 100_000)


class Fixed:
    """Gives always the same answer."""

    def __init__(self, content: bytes, status: int = 200) -> None:
        self._content, self._status = content, status

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self._status)
        request.send_header("Content-Length", str(len(self._content)))
        request.end_headers()
        request.wfile.write(self._content)


class OddServer:
    """`requests` counts them."""

    def __init__(self, behaviour: Behaviour) -> None:
        server, self.requests = self, 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    behaviour(self)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
