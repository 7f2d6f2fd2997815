"""A web server that answers oddly."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.threaded_server import SilentRequests, ThreadedServer

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


class OddServer(ThreadedServer):
    """`requests` counts them."""

    def __init__(self, behaviour: Behaviour) -> None:
        server, self.requests = self, 0

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    behaviour(self)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        super().__init__(self._server)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"
