"""A local server with the published interface of a cloud service, and with faults on request."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from werkzeug.exceptions import HTTPException, abort
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from tests.threaded_server import ThreadedServer

Routes = tuple[tuple[str, Callable[..., Any]], ...]
Fault = Callable[[Request], Response | None]


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_args: object) -> None:
        pass


class ApiServer(ThreadedServer):
    """`fault` may answer requests instead of the service. `paths`: what was asked for, in order."""

    def __init__(self) -> None:
        self.fault: Fault = lambda _request: None
        self.paths: list[str] = []
        self._map = Map()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        super().__init__(self._server)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def route(self, path: str, act: Callable[..., Any], methods: tuple[str, ...] = ("GET",)) -> None:
        """Answer requests to a path. `act` gets the request and the parts of the path."""
        self._map.add(Rule(path, endpoint=act, methods=methods))

    def authorize(self, request: Request) -> None:
        """Refuse requests without the right credentials. Services that have any override this."""

    def _answer(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        self.paths.append(request.full_path.rstrip("?"))
        return self._find_answer(request)(environ, start)

    def _find_answer(self, request: Request) -> Response:
        try:
            found = self.fault(request)
            if found is not None:
                return found
            act, parts = self._map.bind_to_environ(request.environ).match()
            self.authorize(request)
            answer = act(request, **parts)
        except HTTPException as error:
            return Response(json.dumps({"message": error.description}), error.code)
        return (
            answer
            if isinstance(answer, Response)
            else Response(json.dumps(answer), mimetype="application/json")
        )


class FaultsAt:
    """Answer requests whose path contains a text with a status, `times` times, after letting `after` pass."""

    def __init__(
        self, text: str, status: int, *, after: int = 0, times: int = 10_000, wait: str = ""
    ) -> None:
        self._text, self._status, self._after, self._times, self._wait = text, status, after, times, wait
        self.given = 0

    def __call__(self, request: Request) -> Response | None:
        if self._text not in request.full_path:
            return None
        if self._after:
            self._after -= 1
            return None
        if self.given >= self._times:
            return None
        self.given += 1
        headers = {"Retry-After": self._wait} if self._wait else {}
        return Response('{"message": "on request"}', self._status, headers)


class FixedAnswer:
    """Answers requests whose path ends with a text with these rows."""

    def __init__(self, path: str, rows: object, **headers: str) -> None:
        self._path, self._rows, self._headers, self.given = path, rows, headers, 0

    def __call__(self, request: Request) -> Response | None:
        if not request.path.endswith(self._path):
            return None
        self.given += 1
        headers = {name.replace("_", "-"): value for name, value in self._headers.items()}
        return Response(json.dumps(self._rows), headers=headers)


def require(condition: object, status: int = 404) -> None:
    if not condition:
        abort(status, "on request")


def answer_page(
    request: Request, rows: list[Any], limit: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a page of a list by its number, with a link to the next one. The link names another server."""
    number = int(request.args.get("page", 1))
    length = min(int(request.args["per_page"]), limit)
    found = Response(json.dumps(rows[(number - 1) * length : number * length]), headers=headers)
    if number * length < len(rows):
        query = urlencode({**request.args, "page": number + 1})
        link = f'<https://wrong.example{request.path}?{query}>; rel="next", <x>; rel="last"'
        found.headers["Link"] = link
    return found


def slice_page(rows: list[Any], start: int, limit: int) -> tuple[list[Any], int | None]:
    """Return a page of a list, and where the next one starts, None if there is none."""
    end = start + limit
    return rows[start:end], end if end < len(rows) else None
