import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cairn.errors import Unavailable
from tests.threaded_server import SilentRequests
from web.cli.api_client import Api, ApiProblem, _lines, parse_events

Answer = tuple[int, dict[str, str], bytes]


class FakeServer:
    """Responds in order; records paths, and the headers of the last request."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.paths: list[str] = []
        self.headers: dict[str, str] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.paths.append(self.path)
                outer.headers = dict(self.headers)
                status, headers, body = outer.answers.pop(0)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

        return Handler

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def api(server: FakeServer) -> Iterator[Api]:
    with Api(server.url, "key") as api:
        yield api


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()


def test_api_client_sends_the_key_with_each_request(server: FakeServer, api: Api) -> None:
    server.answers = [(200, {}, b"{}")]
    api.get("/x")
    assert server.headers["Authorization"] == "Bearer key"


def test_api_problem_is_raised_with_its_message(server: FakeServer, api: Api) -> None:
    problem = {"status": 404, "title": "No", "detail": "There is no such thing.", "code": "not_found"}
    server.answers = [(404, {}, as_json(problem))]
    with pytest.raises(ApiProblem) as raised:
        api.get("/x")
    assert (raised.value.code, raised.value.message) == ("not_found", "There is no such thing.")
    assert raised.value.status_code == 404


def test_error_without_a_problem_document_reports_the_status(server: FakeServer, api: Api) -> None:
    server.answers = [(502, {}, b"<html>")]
    with pytest.raises(ApiProblem, match="answered 502"):
        api.get("/x")


def test_client_waits_for_retry_after(server: FakeServer, api: Api, pauses: list[float]) -> None:
    server.answers = [(503, {"Retry-After": "3"}, b"{}"), (200, {}, as_json({"ok": True}))]
    assert api.get("/x") == {"ok": True}
    assert pauses == [3.0]


def test_does_not_wait_for_ever(server: FakeServer, api: Api, pauses: list[float]) -> None:
    server.answers = [(503, {"Retry-After": "3600"}, as_json({"detail": "Down."}))]
    with pytest.raises(ApiProblem, match="Down"):
        api.get("/x")
    assert pauses == []


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    sleep: Callable[[float], None] = taken.append
    monkeypatch.setattr("web.cli.api_client.time.sleep", sleep)
    return taken


def test_paged_list_is_read_to_its_end(server: FakeServer, api: Api) -> None:
    server.answers = [
        (200, {}, as_json({"items": [1, 2], "next_cursor": "c"})),
        (200, {}, as_json({"items": [3], "next_cursor": None})),
    ]
    assert list(api.pages("/x", status="ready")) == [1, 2, 3]
    assert server.paths == ["/x?status=ready&limit=200", "/x?status=ready&limit=200&cursor=c"]


def test_no_server(server: FakeServer) -> None:
    server.close()
    with Api(server.url) as api, pytest.raises(Unavailable, match="does not answer"):
        api.get("/x")


def test_events(server: FakeServer, api: Api) -> None:
    stream = b': ping\n\nevent: delta\ndata: {"text": "a"}\n\nevent: done\ndata: {}\n\n'
    server.answers = [(200, {"Content-Type": "text/event-stream"}, stream)]
    assert list(api.events("/ask", {})) == [("delta", {"text": "a"}), ("done", {})]


def test_problem_instead_of_events_is_raised(server: FakeServer, api: Api) -> None:
    server.answers = [(422, {}, as_json({"detail": "The question is empty."}))]
    with pytest.raises(ApiProblem, match="empty"):
        list(api.events("/ask", {}))


def test_only_newlines_end_a_line_of_an_event() -> None:
    pieces = ['event: delta\r\ndata: {"te', 'xt": "a\u2028b"}\n', "\n"]
    assert list(parse_events(_lines(pieces))) == [("delta", {"text": "a\u2028b"})]
