"""JSON interfaces of cloud services: pages of lists, throttling, and refusals of single objects."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

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


class JsonObject(BaseModel):
    """Object whose empty fields may be null or left out. Null only counts as a value of `nullable` fields."""

    nullable: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None or name in cls.nullable}


M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Request = tuple[str, dict[str, str]]
"""Path and parameters."""
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

    def list_answers(self, path: str, next_of: Callable[[Answer], str], **params: str) -> Iterator[Answer]:
        """Yield the pages of a list, unparsed, that link to the next page. Only the link’s query counts."""
        return self._list_pages(self.read_answer, next_of, _follow_query, path, params)

    def list_rows(self, path: str, kind: type[M], **params: str) -> Iterator[M]:
        """Yield the objects of a list, which link to its next page in their headers."""
        for answer in self.list_answers(path, self.find_next, **params):
            yield from self.parse_list(answer, kind)

    def find_next(self, answer: Answer) -> str:
        """Return the address of the next page of a list by its headers, "" for the last page."""
        if answer.next_url and answer.content.strip() == b"[]":
            raise self.server.invalid("next")
        return answer.next_url

    def list_links(self, path: str, kind: type[M], next_of: Callable[[M], str], **params: str) -> Iterator[M]:
        """Yield the pages of a list whose answers link to the next page. Only the link’s query counts."""
        return self._list_pages(self._reader(kind), next_of, _follow_query, path, params)

    def list_urls(self, path: str, kind: type[M], next_of: Callable[[M], str], **params: str) -> Iterator[M]:
        """Yield the pages of a list whose answers have the address of the next page on this server."""

        def follow(url: str, _path: str, _params: dict[str, str]) -> Request:
            return self.split_url(url)

        return self._list_pages(self._reader(kind), next_of, follow, path, params)

    def list_tokens(
        self, path: str, kind: type[M], token_of: Callable[[M], str], name: str, **params: str
    ) -> Iterator[M]:
        """Yield the pages of a list whose answers have a token for the next page, the parameter `name`."""

        def follow(token: str, path: str, params: dict[str, str]) -> Request:
            return path, {**params, name: token}

        return self._list_pages(self._reader(kind), token_of, follow, path, params, name)

    def split_url(self, url: str) -> Request:
        """Return path and parameters of an address. Raises SourceUnavailable if it is on another server."""
        if not url.startswith(self.server.url):
            raise self.server.invalid(url)
        path, _mark, query = url.removeprefix(self.server.url).partition("?")
        return path, dict(parse_qsl(query, keep_blank_values=True))

    def parse(self, answer: Answer, kind: type[M]) -> M:
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self.server.invalid(error.errors()[0]["msg"]) from error

    def parse_list(self, answer: Answer, kind: type[M]) -> list[M]:
        try:
            rows: list[M] = TypeAdapter(list[kind]).validate_json(answer.content)  # type: ignore[valid-type]
        except ValidationError as error:
            raise self.server.invalid(error.errors()[0]["msg"]) from error
        return rows

    def _reader(self, kind: type[M]) -> Callable[..., M]:
        return lambda path, **params: self.read(path, kind, **params)

    def _list_pages(
        self,
        read: Callable[..., T],
        next_of: Callable[[T], str],
        follow: Callable[[str, str, dict[str, str]], Request],
        path: str,
        params: dict[str, str],
        name: str = "next",
    ) -> Iterator[T]:
        """Yield pages until one leads to no other. `name`: what is invalid about one that leads to itself."""
        for _page in range(MAX_PAGES):
            page = read(path, **params)
            yield page
            link = next_of(page)
            if not link:
                return
            following = follow(link, path, params)
            if following == (path, params):
                raise self.server.invalid(name)
            path, params = following
        raise SourceRefused(CodedMessage("source_answer_endless", server=self.server.name))

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


def read_as_visitor(visitor: WebServer, path: str, kind: type[M]) -> M | None:
    """Return an object that a server shows to anonymous visitors, None if it doesn't, such as with a page to
    sign in."""
    try:
        answer = visitor.get(path)
        return kind.model_validate_json(answer.content) if answer.status == 200 else None
    except (SourceRefused, ValidationError):
        return None


def parse_query(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def _follow_query(link: str, path: str, params: dict[str, str]) -> Request:
    return path, {**params, **parse_query(link)}


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
