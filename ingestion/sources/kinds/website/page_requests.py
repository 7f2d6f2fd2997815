"""Requests to a website: rate limited, with redirects left to the caller, and the meaning of responses."""

import hashlib
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from cairn.messages import CodedMessage
from ingestion.sources.kinds.website.addresses import Site
from ingestion.sources.protocol import SourceUnavailable
from ingestion.sources.web_server import WebServer, seconds_to_wait

MAX_PAGE_BYTES: Final = 10_000_000
MAX_FILE_BYTES: Final = 50_000_000
"""Bytes of robots.txt and of sitemaps, compressed or not."""
MAX_HASHED_BYTES: Final = 100_000_000
MAX_SECONDS: Final = 60.0
MAX_WAIT_SECONDS: Final = 60
"""For longer pauses that the website asks for, the whole sync waits."""
MAX_WAITS: Final = 3
MAX_REDIRECTS: Final = 5
_HTML: Final = frozenset(("text/html", "application/xhtml+xml"))
_GONE: Final = frozenset((404, 410))
_PERMANENT: Final = frozenset((301, 308))
_GZIP: Final = b"\x1f\x8b"
sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Html:
    """A web page. `charset` is the one that the server names, if any."""

    content: bytes
    charset: str
    etag: str
    modified: str


@dataclass(frozen=True, slots=True)
class File:
    """A file other than a web page. Its content is read when it is fetched."""

    media_type: str
    version: str
    size: int | None
    etag: str
    modified: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The page is the one whose ETag or time was sent."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A redirect, to wherever it leads."""

    target: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """The server has no such page."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The page can't be read now, for a `reason`. `is_outage`: other pages may fail as well."""

    reason: str
    is_outage: bool = False


Outcome = Html | File | Unchanged | Moved | Missing | Failed


class PageRequests:
    """Requests to one website, with `pause` seconds between them."""

    def __init__(self, server: WebServer, site: Site, pause: float) -> None:
        self.server, self._site, self.pause = server, site, pause
        self._is_first = True

    def fetch(self, address: str, *, etag: str = "", modified: str = "") -> Outcome:
        """Ask for a page. Raises SourceUnavailable if the website asks to wait too long."""
        headers = {
            name: value for name, value in (("If-None-Match", etag), ("If-Modified-Since", modified)) if value
        }
        try:
            with self.open(address, headers) as response:
                return self._interpret(response)
        except _Interrupted as error:
            return Failed(error.message, is_outage=True)

    def fetch_file(self, address: str, *, is_expected: bool = False) -> bytes | None:
        """Read a file such as robots.txt, unpacked, following redirects on this server.

        Return None if it doesn't exist. Raises SourceUnavailable if that isn't certain: for an expected file,
        only 404 and 410 mean that it doesn't.
        """
        for _ in range(MAX_REDIRECTS):
            with self.open(address, {}) as response:
                status = response.status_code
                if 300 <= status < 400:
                    target = self._site.find_on_server(address, response.headers.get("Location", ""))
                    if target is None:
                        break
                    address = target
                    continue
                if status in _GONE:
                    return None
                if 400 <= status < 500:
                    break
                if status != 200:
                    raise self.server.invalid(f"{address}: HTTP {status}")
                return self._unpack(self.read(response, MAX_FILE_BYTES))
        if is_expected:
            raise self.server.invalid(f"{address}: HTTP {status}")
        return None

    @contextmanager
    def open(self, address: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """Open an answer of any status. If the website asks for it, wait and ask again."""
        for _ in range(MAX_WAITS):
            self._wait_for_turn()
            with self._request(address, headers) as response:
                if not _is_busy(response):
                    yield response
                    return
                status, seconds = response.status_code, seconds_to_wait(response.headers)
            if seconds > MAX_WAIT_SECONDS:
                break
            sleep(seconds)
        message = CodedMessage("source_busy", server=self.server.name, status=status)
        raise SourceUnavailable(message, retry_after=seconds)

    @contextmanager
    def _request(self, address: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        try:
            with self.server.request("GET", self._site.path_of(address), headers=headers) as response:
                yield response
        except SourceUnavailable as error:
            raise _Interrupted(error.message) from error

    def _wait_for_turn(self) -> None:
        if not self._is_first and self.pause:
            sleep(self.pause)
        self._is_first = False

    def _interpret(self, response: httpx.Response) -> Outcome:
        status, headers = response.status_code, response.headers
        if status == 304:
            return Unchanged()
        if 300 <= status < 400:
            return Moved(headers.get("Location", ""), status in _PERMANENT)
        if status in _GONE:
            return Missing()
        if status != 200 or headers.get("Content-Encoding", "identity") != "identity":
            code = "website_page_refused" if status in {401, 403} else "website_page_failed"
            return Failed(CodedMessage(code, server=self.server.name, status=status), is_outage=status >= 500)
        etag, modified = headers.get("ETag", "")[:200], headers.get("Last-Modified", "")[:100]
        media_type = _media_type_of(response)
        if is_page(response):
            return Html(self.read(response, MAX_PAGE_BYTES), response.charset_encoding or "", etag, modified)
        length = headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else None
        version = etag or (f"{modified} {size}" if modified else self._digest(response))
        return File(media_type, version, size, etag, modified)

    def read(self, response: httpx.Response, limit: int) -> bytes:
        """Read an answer. Raises SourceUnavailable if it is larger, or too slow."""
        content = bytearray()
        for piece in self._pieces(response, limit):
            content += piece
        return bytes(content)

    def _digest(self, response: httpx.Response) -> str:
        digest = hashlib.sha256()
        for piece in self._pieces(response, MAX_HASHED_BYTES):
            digest.update(piece)
        return digest.hexdigest()

    def _pieces(self, response: httpx.Response, limit: int) -> Iterator[bytes]:
        size, start = 0, time.monotonic()
        for piece in response.iter_raw():
            size += len(piece)
            if size > limit or time.monotonic() - start > MAX_SECONDS:
                raise _Interrupted(CodedMessage("source_answer_endless", server=self.server.name))
            yield piece

    def _unpack(self, content: bytes) -> bytes:
        if not content.startswith(_GZIP):
            return content
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            unpacked = unpacking.decompress(content, MAX_FILE_BYTES)
        except zlib.error as error:
            raise self.server.invalid(str(error)) from error
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise self.server.invalid("gzip")
        return unpacked


class _Interrupted(SourceUnavailable):
    """One answer can't be read to its end."""


def is_page(response: httpx.Response) -> bool:
    return _media_type_of(response) in _HTML


def _media_type_of(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _is_busy(response: httpx.Response) -> bool:
    return response.status_code == 429 or (response.status_code == 503 and "Retry-After" in response.headers)
