"""JSON interfaces of cloud services: pages of lists, throttling, and refusals of single objects."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.protocol import SourceRefused, SourceUnavailable
from ingestion.sources.web_server import Answer, WebServer

MAX_PAGES: Final = 100_000
MAX_WAIT_SECONDS: Final = 45
"""A longer wait ends the sync, which starts again later."""
_MAX_WAITS: Final = 4


class RequestRefused(SourceRefused):
    """The service answers a request with 4xx, whose number is `status_code`."""

    def __init__(self, server: str, path: str, status_code: int, reason: str = "") -> None:
        self.status_code = status_code
        message = CodedMessage(
            "source_request_refused",
            server=server,
            path=path[:100],
            status=status_code,
            reason=reason[:200] or "-",
        )
        super().__init__(message)


M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
NOT_THERE: Final = frozenset((404, 410))


class JsonApi:
    """A JSON interface. `authorize` returns headers for each request. `find_busy` returns the seconds to wait
    if a refusal is about the number of requests, otherwise None."""

    def __init__(
        self,
        server: WebServer,
        authorize: Callable[[], Mapping[str, str]] = dict,
        find_busy: Callable[[Answer], int | None] = lambda _answer: None,
    ) -> None:
        self.server, self._authorize, self._find_busy = server, authorize, find_busy

    def headers(self) -> dict[str, str]:
        """Return headers that authorize a request."""
        return dict(self._authorize())

    def read(self, path: str, kind: type[M], **params: str) -> M:
        """Read an object. Raises RequestRefused for 4xx."""
        return self.parse(self.read_answer(path, **params), kind)

    def read_answer(self, path: str, **params: str) -> Answer:
        """Return an answer that isn't an error. Raises RequestRefused for 4xx."""
        return wait_while_busy(lambda: self._read(path, params))

    def read_posted(self, path: str, body: object, kind: type[M]) -> M:
        """Read an object by a request that has a body but changes nothing. Raises RequestRefused for 4xx."""
        answer = wait_while_busy(
            lambda: self._require(path, self.server.post(path, body, headers=self._authorize()))
        )
        return self.parse(answer, kind)

    def list_links(self, path: str, kind: type[M], next_of: Callable[[M], str], **params: str) -> Iterator[M]:
        """Yield the pages of a list whose answers link to the next page. Only the link’s query counts."""
        for _page in range(MAX_PAGES):
            page = self.read(path, kind, **params)
            yield page
            link = next_of(page)
            if not link:
                return
            following = {**params, **dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))}
            if following == params:
                raise self.server.invalid("next")
            params = following
        raise SourceRefused(CodedMessage("source_answer_endless", server=self.server.name))

    def list_urls(self, path: str, kind: type[M], next_of: Callable[[M], str], **params: str) -> Iterator[M]:
        """Yield the pages of a list whose answers have the address of the next page on this server."""
        for _page in range(MAX_PAGES):
            page = self.read(path, kind, **params)
            yield page
            link = next_of(page)
            if not link:
                return
            following = self.split_url(link)
            if following == (path, params):
                raise self.server.invalid("next")
            path, params = following
        raise SourceRefused(CodedMessage("source_answer_endless", server=self.server.name))

    def split_url(self, url: str) -> tuple[str, dict[str, str]]:
        """Return path and parameters of an address. Raises SourceUnavailable if it is on another server."""
        if not url.startswith(self.server.url):
            raise self.server.invalid(url)
        path, _mark, query = url.removeprefix(self.server.url).partition("?")
        return path, dict(parse_qsl(query, keep_blank_values=True))

    def list_tokens(
        self, path: str, kind: type[M], token_of: Callable[[M], str], name: str, **params: str
    ) -> Iterator[M]:
        """Yield the pages of a list whose answers have a token for the next page, the parameter `name`."""
        for _page in range(MAX_PAGES):
            page = self.read(path, kind, **params)
            yield page
            token = token_of(page)
            if not token:
                return
            if params.get(name) == token:
                raise self.server.invalid(name)
            params = {**params, name: token}
        raise SourceRefused(CodedMessage("source_answer_endless", server=self.server.name))

    def parse(self, answer: Answer, kind: type[M]) -> M:
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self.server.invalid(error.errors()[0]["msg"]) from error

    def _read(self, path: str, params: Mapping[str, str]) -> Answer:
        return self._require(path, self.server.get(path, params, headers=self._authorize()))

    def _require(self, path: str, answer: Answer) -> Answer:
        if answer.status < 400:
            return answer
        wait = self._find_busy(answer)
        if wait is not None:
            message = CodedMessage("source_busy", server=self.server.name, status=answer.status)
            raise SourceUnavailable(message, retry_after=wait)
        raise RequestRefused(self.server.name, path, answer.status, find_reason(answer.content))


def wait_while_busy(act: Callable[[], T]) -> T:
    """Call a service that may ask to wait shortly, and retry after that. Raises the error of the last
    attempt."""
    for _wait in range(_MAX_WAITS):
        try:
            return act()
        except SourceUnavailable as error:
            if error.message.code != "source_busy" or error.retry_after > MAX_WAIT_SECONDS:  # type: ignore[attr-defined]
                raise
            time.sleep(error.retry_after)
    return act()


def find_reason(content: bytes) -> str:
    """Return the message in an error response, "" if there is none."""
    try:
        error: Any = _Refusal.model_validate_json(content)
    except ValidationError:
        return ""
    texts = (error.message, error.error_description, error.error)
    for text in texts:
        if isinstance(text, dict):
            text = text.get("message")
        if isinstance(text, str) and text:
            return text.splitlines()[0]
    return ""


class _Refusal(BaseModel):
    message: Any = None
    error_description: Any = None
    error: Any = None
