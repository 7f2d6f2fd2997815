"""A website in threads of this process, on a free port."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.threaded_server import SilentRequests, ThreadedServer


@dataclass(frozen=True)
class Resource:
    """What is at a path. With `tagged`, it has an ETag, and is answered with 304 to those who know it."""

    content: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    tagged: bool = False


def page(*links: str, title: str = "", head: str = "", text: str = "Text.", tagged: bool = False) -> Resource:
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    body = (
        f"<html><head><title>{title}</title>{head}</head><body><p>{text}</p><ul>{anchors}</ul></body></html>"
    )
    return Resource(body.encode(), headers={"Content-Type": "text/html; charset=utf-8"}, tagged=tagged)


def moved(target: str, status: int = 301) -> Resource:
    return Resource(b"", status, {"Location": target})


class WebsiteServer(ThreadedServer):
    """Serves `resources`, by path with query, and `default` for others, or 404.

    `asked` counts requests by path; `received` has the last headers by path. `required` is a header with its
    value that each request needs, else 401. `on_request` is called before each answer.
    """

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.default: Callable[[str], Resource | None] = lambda path: None
        self.asked: Counter[str] = Counter()
        self.received: dict[str, dict[str, str]] = {}
        self.required: tuple[str, str] | None = None
        self.on_request: Callable[[str], None] = lambda path: None
        server = self

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    server.answer(self)
                except OSError:
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        super().__init__(self._server)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        self.asked[path] += 1
        self.received[path] = {name.lower(): value for name, value in handler.headers.items()}
        self.on_request(path)
        resource = self.resources.get(path) or self.default(path) or Resource(b"", 404)
        if self.required and self.received[path].get(self.required[0].lower()) != self.required[1]:
            resource = Resource(b"", 401)
        tag = f'"{hashlib.sha256(resource.content).hexdigest()[:16]}"'
        headers = {"Content-Length": str(len(resource.content)), **resource.headers}
        if resource.tagged and resource.status == 200:
            headers["ETag"] = tag
            if self.received[path].get("if-none-match") == tag:
                resource, headers = Resource(b"", 304), {"ETag": tag}
        handler.send_response(resource.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(resource.content)
