"""A WebDAV server in threads of this process: WsgiDAV on cheroot, and one that misbehaves as a test asks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cheroot.wsgi import Server
from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp

from tests.backends import free_port
from tests.threaded_server import SilentRequests

USER, PASSWORD = "cairn", "of cairn"
Answer = Callable[[BaseHTTPRequestHandler], None]


class WebdavServer:
    """Serves `folder` to USER. `refused` are paths that it answers with a status of its own. `asked` are the
    methods and paths it was asked for, and `on_request` is called before each answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.refused: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.on_request: Callable[[str, str], None] = lambda method, path: None
        self._app = WsgiDAVApp(
            {
                "provider_mapping": {"/": FilesystemProvider(str(folder), readonly=True)},
                "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
                "http_authenticator": {"accept_basic": True, "accept_digest": False},
                "verbose": 0,
                "logging": {"enable": False},
                "lock_storage": None,
                "property_manager": None,
            }
        )
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._server = Server(("127.0.0.1", self.port), self._answer, numthreads=4)
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server:
            server.stop()
            self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode()
        self.asked.append((method, path))
        self.on_request(method, path)
        if status := self.refused.get(path.rstrip("/")):
            start_response(f"{status} No", [("Content-Length", "0"), ("Retry-After", "7")])
            return [b""]
        return self._app(environ, start_response)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Start a server that answers every request in this way, and yield its URL."""

    class Handler(SilentRequests, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True  # the client has gone

        def do_PROPFIND(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        def do_GET(self) -> None:
            answer(self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
