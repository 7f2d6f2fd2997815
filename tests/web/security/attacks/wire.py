"""HTTP over a bare socket, for requests that no HTTP client would send."""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything that the server sent on one connection."""

    raw: bytes

    @property
    def statuses(self) -> list[int]:
        """Return the statuses of all responses: a smuggled request would have one of its own."""
        return [int(found) for found in _STATUS.findall(self.raw)]


def exchange(url: str, request: bytes, *, seconds: float = 10) -> Reply:
    """Sends the bytes as they are and reads until the server closes the connection."""
    parts = urlsplit(url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        connection.sendall(request)
        while block := connection.recv(1 << 16):
            received += block
    return Reply(received)


def head(first: str, *headers: str | bytes) -> bytes:
    """Return a request's head. Headers are sent unchanged, so they may contain line breaks."""
    lines = [each if isinstance(each, bytes) else each.encode("latin-1") for each in (first, *headers)]
    return b"\r\n".join([*lines, b"", b""])
