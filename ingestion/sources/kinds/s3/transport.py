"""Requests of boto3, sent by the guarded HTTP client: only to the configured server, without redirects."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from botocore.awsrequest import AWSResponse

from cairn.http import ssrf_guard
from cairn.messages import CodedMessage
from ingestion.sources.protocol import SourceRefused, SourceUnavailable, describe_error

TIMEOUT_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 32_000_000
"""A response other than an object, such as a list of a thousand keys."""
MAX_ANSWER_SECONDS: Final = 120.0


class GuardedSender:
    """Sends what boto3 has signed. Register `send` for its event `before-send`."""

    def __init__(self, endpoint_url: str) -> None:
        self._server = urlsplit(endpoint_url).netloc
        self._client = ssrf_guard.client(endpoint_url, from_console=True, timeout=TIMEOUT_SECONDS, headers={})

    def close(self) -> None:
        self._client.close()

    def send(self, request: Any, **_: object) -> AWSResponse:
        """Send a request. Raises SourceUnavailable, and SourceRefused for redirects and other servers."""
        parts = urlsplit(request.url)
        if parts.netloc != self._server:
            raise SourceRefused(CodedMessage("source_redirects", server=self._server, target=parts.netloc))
        try:
            response = self._client.send(self._build(request), stream=True)
        except ssrf_guard.AddressNotAllowed as error:
            raise SourceRefused(
                CodedMessage("source_away", server=self._server, reason=describe_error(error))
            ) from error
        except httpx.TransportError as error:
            raise self.explain(error) from error
        if 300 <= response.status_code < 400:
            response.close()
            target = response.headers.get("Location", "")[:200]
            raise SourceRefused(CodedMessage("source_redirects", server=self._server, target=target))
        return AWSResponse(request.url, response.status_code, response.headers, _Body(response, self))

    def _build(self, request: Any) -> httpx.Request:
        parts = urlsplit(request.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        url = httpx.URL(scheme=parts.scheme, host=parts.hostname, port=parts.port, raw_path=target.encode())
        headers = {name: _text(value) for name, value in request.headers.items()}
        headers["Accept-Encoding"] = "identity"
        return self._client.build_request(request.method, url, headers=headers, content=request.body)

    def explain(self, error: httpx.TransportError) -> SourceUnavailable:
        """Return the error to raise for a connection that could not be made, or broke off."""
        away = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        reason = describe_error(error)
        code = "source_away" if away else "source_interrupted"
        return SourceUnavailable(CodedMessage(code, server=self._server, reason=reason))

    def build_endless_error(self) -> SourceUnavailable:
        """Return the error to raise for an answer that doesn't end."""
        return SourceUnavailable(CodedMessage("source_answer_endless", server=self._server))


class _Body:
    """Body of a response, with the methods of urllib3 that botocore uses: `stream` for responses that it
    reads whole, whose size is limited, and `read` for objects."""

    def __init__(self, response: httpx.Response, sender: GuardedSender) -> None:
        self._response, self._sender = response, sender
        self._pieces, self._rest = response.iter_raw(), b""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        count, end = 0, time.monotonic() + MAX_ANSWER_SECONDS
        with closing(self._response):
            try:
                for piece in self._pieces:
                    count += len(piece)
                    if count > MAX_ANSWER_BYTES or time.monotonic() > end:
                        raise self._sender.build_endless_error()
                    yield piece
            except httpx.TransportError as error:
                raise self._sender.explain(error) from error

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end."""
        piece = self._rest or next(self._pieces, b"")
        self._rest = piece[size:]
        return piece[:size]

    def close(self) -> None:
        self._response.close()


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value
