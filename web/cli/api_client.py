"""Client of Cairn's own REST API."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self

import httpx

from cairn.errors import CairnError, Unavailable

Json = dict[str, Any]

_TIMEOUT = httpx.Timeout(60.0, read=300.0)  # reading: a question waits for a model
_PATIENCE = 75.0  # seconds of "try again later" before it counts: more than a minute, which limits are by
_PAGE = 200


class ApiProblem(CairnError):
    """A problem document returned by the server."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        message = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
        super().__init__(message, code=str(problem.get("code") or "internal_error"))
        self.status_code = status


class Api:
    """A client. Raises ApiProblem for refused requests, Unavailable if the server cannot be reached."""

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=_TIMEOUT,
            trust_env=False,  # proxies of the environment are for other hosts, not for this machine
            verify=url.startswith("https:"),  # saves a quarter of a second for unused certificates
        )
        self.url = url
        self.key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Json:
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, json=body)

    def put(self, path: str, body: Json) -> Json:
        return self._call("PUT", path, json=body)

    def delete(self, path: str, **params: Any) -> Json:
        return self._call("DELETE", path, params=params)

    def upload(
        self, path: str, *, files: Sequence[tuple[str, IO[bytes]]], fields: Mapping[str, Sequence[str]]
    ) -> list[Json]:
        """Upload files and return their results. Each stream is read from its beginning."""
        answer: list[Json] = self._answer(
            "POST", path, files=[("file", file) for file in files], data=dict(fields)
        )
        return answer

    def pages(self, path: str, *, limit: int = _PAGE, **params: Any) -> Iterator[Json]:
        """Yield all items of a paginated list."""
        cursor: str | None = None
        while True:
            page = self.get(path, **params, limit=limit, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next_cursor"]
            if not cursor:
                return

    def events(self, path: str, body: Json) -> Iterator[tuple[str, Any]]:
        """Yield server-sent events as (name, data)."""
        with self._errors(), self._http.stream("POST", path, json=body) as response:
            if response.status_code >= 400:
                response.read()
                raise _problem(response)
            yield from parse_events(_lines(response.iter_text()))

    def _call(self, method: str, path: str, **request: Any) -> Json:
        answer: Json = self._answer(method, path, **request)
        return answer

    def _answer(self, method: str, path: str, **request: Any) -> Any:
        give_up = time.monotonic() + _PATIENCE
        while True:
            with self._errors():
                response = self._http.request(method, path, **request)
            if response.status_code < 400:
                return response.json()
            pause = _pause(response)
            if pause is None or time.monotonic() + pause > give_up:
                raise _problem(response)
            time.sleep(pause)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise Unavailable(f"Cairn at {self.url} does not answer ({type(error).__name__}).") from error


def _pause(response: httpx.Response) -> float | None:
    """Return seconds to wait before a retry; None if a retry is pointless."""
    if response.status_code not in {429, 503}:
        return None
    try:
        return max(0.2, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


def _problem(response: httpx.Response) -> ApiProblem:
    try:
        body = response.json()
    except ValueError:
        body = {}
    return ApiProblem(response.status_code, body if isinstance(body, dict) else {})


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Split at newlines only: httpx and str.splitlines also split at a U+2028 inside JSON."""
    rest = ""
    for text in texts:
        *lines, rest = (rest + text).split("\n")
        yield from (line.removesuffix("\r") for line in lines)


def parse_events(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    name, data = "message", ""
    for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += line.removeprefix("data:").removeprefix(" ")
        elif not line and data:
            yield name, json.loads(data)
            name, data = "message", ""
