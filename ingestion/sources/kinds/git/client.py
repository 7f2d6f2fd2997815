"""Git over HTTP through our guarded connections, instead of dulwich's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx
from dulwich.client import AbstractHttpGitClient
from dulwich.errors import NotGitRepository

from cairn.messages import CodedMessage
from ingestion.sources.protocol import SourceRefused
from ingestion.sources.web_server import WebServer

MAX_BYTES: Final = 4_000_000_000
"""Bytes of a repository's answers, which are stored on disk."""


@dataclass(slots=True)
class _Response:
    """The part of urllib3's response that dulwich uses."""

    response: httpx.Response
    connection: ExitStack
    redirect_location: str = ""
    content_type: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.content_type = self.response.headers.get("Content-Type")

    def close(self) -> None:
        self.connection.close()


class GuardedGitClient(AbstractHttpGitClient):
    """A client for the repository at the address of a `WebServer`."""

    def __init__(self, server: WebServer) -> None:
        super().__init__(server.url, quiet=True)
        self._server = server

    def _http_request(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002
    ) -> tuple[Any, Callable[[int], bytes]]:
        """Send a request. Only a smart server answers: the other kind would take a request per object."""
        path, _, query = url.removeprefix(self._server.url).partition("?")
        with ExitStack() as opening:
            response = opening.enter_context(
                self._server.stream(
                    "GET" if data is None else "POST",
                    path,
                    params=dict(parse_qsl(query)),
                    headers=dict(headers or {}),
                    content=data,
                )
            )
            if response.status_code in {403, 404}:
                raise NotGitRepository
            if response.status_code != 200:
                raise self._server.invalid(f"HTTP {response.status_code}")
            if not response.headers.get("Content-Type", "").startswith("application/x-git-"):
                raise NotGitRepository
            reader = _Reader(response.iter_raw(), self._server.name)
            return _Response(response, opening.pop_all()), reader.read
        raise AssertionError  # ExitStack suppresses nothing here


class _Reader:
    def __init__(self, pieces: Iterator[bytes], server: str) -> None:
        self._pieces, self._server = pieces, server
        self._rest = b""
        self._total = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        parts, count = [self._rest], len(self._rest)
        while size < 0 or count < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            count += len(piece)
            self._total += len(piece)
            if self._total > MAX_BYTES:
                raise SourceRefused(CodedMessage("source_answer_endless", server=self._server))
        content = b"".join(parts)
        if size < 0:
            size = len(content)
        self._rest = content[size:]
        return content[:size]
