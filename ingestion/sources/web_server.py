"""Requests to the web server of a source, with bounds on its answers."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpx
from django.utils.translation import gettext_noop as _
from pydantic import AfterValidator

from cairn.http import ssrf_guard
from cairn.messages import CodedMessage
from ingestion.sources.encryption import find_addresses
from ingestion.sources.protocol import SourceRefused, SourceUnavailable, describe_error

TIMEOUT_SECONDS: Final = 30.0
MAX_SECONDS: Final = 240.0
MAX_BYTES: Final = 64_000_000
"""Bytes of an answer other than the content of an item."""
_MAX_RETRY_SECONDS: Final = 3600
_BUSY: Final = frozenset((429, 502, 503, 504))


def split_address(url: str) -> SplitResult:
    """Return the parts of the address of a web server. Raises ValueError with a message for an admin."""
    try:
        parts = urlsplit(url)
        is_possible = parts.port != 0
    except ValueError:  # brackets without an IPv6 address, or an impossible port
        is_possible = False
    if not is_possible:
        raise ValueError(_("Enter an address such as https://files.example.org."))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(_("Enter an address that starts with https:// or http://."))
    return parts


def _check_url(url: str) -> str:
    parts = split_address(url)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(_("Enter the address without user name, “?” and “#”."))
    return url if url.endswith("/") else f"{url}/"


ServerUrl = Annotated[str, AfterValidator(_check_url)]
"""Address of a web server that ends with a slash and has no credentials in it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of a server, read completely."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    next_url: str = ""
    """Address of the next page of a list, by the header “Link”."""


class WebServer:
    """A web server at an address that ends with a slash. Redirects are refused."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        parts = urlsplit(url)
        self.url, self.name = url, parts.hostname or ""
        self.encrypted = parts.scheme == "https"
        self._port = parts.port or (443 if self.encrypted else 80)
        self._client = client

    @property
    def encryption_warning(self) -> str:
        """Warning if others in the network can read what is sent, "" if they can't."""
        return "" if self.encrypted else CodedMessage("source_unencrypted")

    def require_encryption(self) -> None:
        """Raise SourceRefused if passwords would cross the internet unencrypted."""
        find_addresses(self.name, self._port, encrypted=self.encrypted)

    def get(
        self,
        path: str,
        params: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        with self.stream("GET", path, params=dict(params or {}), headers=dict(headers or {})) as response:
            return self._read(response)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send an object as JSON."""
        with self.stream("POST", path, json=body, headers=dict(headers or {})) as response:
            return self._read(response)

    def post_form(self, path: str, fields: Mapping[str, str]) -> Answer:
        """Send the fields of a form."""
        with self.stream("POST", path, data=dict(fields)) as response:
            return self._read(response)

    def invalid(self, reason: str) -> SourceUnavailable:
        """Return the error for an answer that makes no sense."""
        return SourceUnavailable(CodedMessage("source_answer_invalid", server=self.name, reason=reason[:200]))

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Open an answer. Raises SourceUnavailable or SourceRefused, but leaves 4xx to the caller."""
        with self._stream(method, self._address(path), **options) as response:
            self._require_answer(response)
            yield response

    @contextmanager
    def request(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Open an answer of any status. The path is percent-encoded and may have a query.

        Raises SourceUnavailable if there is no answer, and SourceRefused if no server may be there.
        """
        with self._stream(method, self.url + path, **options) as response:
            yield response

    @contextmanager
    def download(
        self, path: str, storage: Collection[str], headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Open a file that may be at a storage service, to which the server redirects with a signed address.

        `storage` are endings of names of such services. Credentials and `headers` are not sent there.
        """
        url = self._address(path)
        with self._stream("GET", url, headers=dict(headers or {})) as response:
            target = urljoin(url, response.headers.get("Location", ""))
            if not 300 <= response.status_code < 400 or not self.may_lead_to(target, storage):
                self._require_answer(response)
                yield response
                return
        with open_web_server(f"{urljoin(target, '/')}") as other, other.stream_signed(target) as response:
            yield response

    @contextmanager
    def stream_signed(self, url: str) -> Iterator[httpx.Response]:
        """Open an answer at a complete address of this server."""
        with self._stream("GET", url) as response:
            self._require_answer(response)
            yield response

    def may_lead_to(self, url: str, storage: Collection[str]) -> bool:
        """Return whether the address is of this server, or of a storage service and encrypted."""
        parts = urlsplit(url)
        if url.startswith(urljoin(self.url, "/")):
            return True
        name = f".{parts.hostname or ''}".lower()
        return parts.scheme == "https" and any(name.endswith(f".{ending}") for ending in storage)

    def _address(self, path: str) -> str:
        return self.url + quote(path, safe="/:=&%+,;@~$()!'*")

    @contextmanager
    def _stream(self, method: str, url: str, **options: Any) -> Iterator[httpx.Response]:
        try:
            with self._client.stream(method, url, **options) as response:
                yield response
        except ssrf_guard.AddressNotAllowed as error:
            raise SourceRefused(self._connection_problem("source_away", error)) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise SourceUnavailable(self._connection_problem("source_away", error)) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise SourceUnavailable(self._connection_problem("source_interrupted", error)) from error

    def _connection_problem(self, code: str, error: Exception) -> CodedMessage:
        return CodedMessage(code, server=self.name, reason=describe_error(error))

    def _require_answer(self, response: httpx.Response) -> None:
        self.require_final_response(response)
        status = response.status_code
        if status == 401:
            raise SourceRefused(CodedMessage("source_sign_in_refused", server=self.name))
        if status >= 500 or response.headers.get("Content-Encoding", "identity") != "identity":
            raise self.invalid(f"HTTP {status}")

    def require_final_response(self, response: httpx.Response) -> None:
        """Raise for a response that redirects, or asks to try again later."""
        status = response.status_code
        if 300 <= status < 400:
            target = response.headers.get("Location", "")[:200]
            raise SourceRefused(CodedMessage("source_redirects", server=self.name, target=target))
        if status in _BUSY:
            raise SourceUnavailable(
                CodedMessage("source_busy", server=self.name, status=status),
                retry_after=seconds_to_wait(response.headers),
            )

    def _read(self, response: httpx.Response) -> Answer:
        content, start = bytearray(), time.monotonic()
        for piece in response.iter_raw():
            content += piece
            if len(content) > MAX_BYTES or time.monotonic() - start > MAX_SECONDS:
                raise SourceUnavailable(CodedMessage("source_answer_endless", server=self.name))
        next_url = response.links.get("next", {}).get("url", "")
        return Answer(response.status_code, bytes(content), response.headers, next_url)


def seconds_to_wait(headers: Mapping[str, str]) -> int:
    """Return how many seconds a busy server asks to wait, up to an hour; a minute by default."""
    seconds = _read_seconds(headers.get("Retry-After", ""))
    if seconds is None and headers.get("X-RateLimit-Remaining") == "0":
        until = _read_seconds(headers.get("X-RateLimit-Reset", ""))
        seconds = until - int(time.time()) + 1 if until is not None else None
    return 60 if seconds is None else max(0, min(seconds, _MAX_RETRY_SECONDS))


def _read_seconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None


@contextmanager
def open_web_server(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
    uses_cookies: bool = False,
) -> Iterator[WebServer]:
    """Open connections to a server as they are needed. Cookies of the server are ignored, unless they are
    kept until the connections close. Raises SourceRefused for headers that can't be sent."""
    client = ssrf_guard.client(
        url,
        from_console=True,
        auth=auth,
        headers={"Accept-Encoding": "identity", "User-Agent": "Cairn", **_clean_headers(url, headers or {})},
        timeout=TIMEOUT_SECONDS,
    )
    if not uses_cookies:
        client.event_hooks["request"] = [_drop_cookies]
    with client:
        yield WebServer(url, client)


def _clean_headers(url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers without white space around them, which copied tokens often have.

    An error of the library would quote the token.
    """
    cleaned = {name: value.strip() for name, value in headers.items()}
    if not all(value.isascii() and value.isprintable() for value in cleaned.values()):
        raise SourceRefused(CodedMessage("source_token_unsendable", server=urlsplit(url).hostname or ""))
    return cleaned


def _drop_cookies(request: httpx.Request) -> None:
    request.headers.pop("Cookie", None)
