"""Requests with an ambiguous end are rejected, and nothing after them is served."""

import pytest

from tests.servers import Server
from tests.web.security.attacks.recorder import Attack
from tests.web.security.attacks.wire import exchange, head

POST = "POST /api/v1/ask HTTP/1.1"
HOST = "Host: 127.0.0.1"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = head("GET /healthz HTTP/1.1", HOST, "Connection: close")
ENDED = b"0\r\n\r\n"
AMBIGUOUS = {
    "length then chunked": head(POST, HOST, JSON, "Content-Length: 5", CHUNKED) + ENDED,
    "chunked then length": head(POST, HOST, JSON, CHUNKED, "Content-Length: 5") + ENDED,
    "length of zero and chunked": head(POST, HOST, JSON, "Content-Length: 0", CHUNKED) + ENDED,
    "length of everything and chunked": head(
        POST, HOST, JSON, f"Content-Length: {len(ENDED) + len(SMUGGLED)}", CHUNKED
    )
    + ENDED,
    "get with both": head("GET /healthz HTTP/1.1", HOST, "Content-Length: 5", CHUNKED) + ENDED,
    "two lengths": head(POST, HOST, JSON, "Content-Length: 2", "Content-Length: 0"),
    "two lengths in one header": head(POST, HOST, JSON, "Content-Length: 2, 0"),
    "signed length": head(POST, HOST, JSON, "Content-Length: +2") + b"{}",
    "negative length": head(POST, HOST, JSON, "Content-Length: -2") + b"{}",
    "hexadecimal length": head(POST, HOST, JSON, "Content-Length: 0x2") + b"{}",
    "length with underscore": head(POST, HOST, JSON, "Content-Length: 0_2") + b"{}",
    "length with a space inside": head(POST, HOST, JSON, "Content-Length: 0 2") + b"{}",
    "empty length": head(POST, HOST, JSON, "Content-Length:") + b"{}",
    "length in other digits": head(POST, HOST, JSON, "Content-Length: ²") + b"{}",
    "enormous length": head(POST, HOST, JSON, "Content-Length: " + "9" * 40) + b"{}",
    "space before the colon": head(POST, HOST, JSON, "Content-Length : 2") + b"{}",
    "space before chunked's colon": head(POST, HOST, JSON, "Transfer-Encoding : chunked") + ENDED,
    "folded length": head(POST, HOST, JSON, "Content-Length:\r\n 2\r\n 3") + b"{}",
    "header begins with a space": head(POST, " Content-Length: 2", HOST, JSON) + b"{}",
    "chunked in HTTP/1.0": head(POST.replace("1.1", "1.0"), HOST, JSON, CHUNKED) + ENDED,
    "chunked with a tab inside": head(POST, HOST, JSON, "Transfer-Encoding: chun\tked") + ENDED,
    "other coding": head(POST, HOST, JSON, "Transfer-Encoding: xchunked") + ENDED,
    "identity": head(POST, HOST, JSON, "Transfer-Encoding: identity", "Content-Length: 2") + b"{}",
    "chunked twice": head(POST, HOST, JSON, "Transfer-Encoding: chunked, chunked") + ENDED,
    "two codings": head(POST, HOST, JSON, CHUNKED, "Transfer-Encoding: identity") + ENDED,
    "chunk size that is no number": head(POST, HOST, JSON, CHUNKED) + b"x\r\n{}\r\n" + ENDED,
    "signed chunk size": head(POST, HOST, JSON, CHUNKED) + b"+2\r\n{}\r\n" + ENDED,
    "chunk size with 0x": head(POST, HOST, JSON, CHUNKED) + b"0x2\r\n{}\r\n" + ENDED,
    "chunk longer than told": head(POST, HOST, JSON, CHUNKED) + b"2\r\n{}{}\r\n" + ENDED,
    "control character in a header": head(POST, HOST, JSON, "X-A: \x00b", "Content-Length: 2") + b"{}",
    "carriage return in a header": head(POST, HOST, JSON, "X-A: b\rContent-Length: 0", "Content-Length: 2")
    + b"{}",
    "two hosts": head(POST, HOST, "Host: evil.example", JSON, "Content-Length: 2") + b"{}",
}


CLEAR = [
    head(POST, HOST, JSON, "Content-Length: 2") + b"{}",
    head(POST, HOST, JSON, "content-length:   2  ") + b"{}",
    head(POST, HOST, JSON, CHUNKED) + b"2\r\n{}\r\n" + ENDED,
    head(POST, HOST, JSON, "Transfer-Encoding: Chunked") + b"1\r\n{\r\n1;ext=1\r\n}\r\n" + ENDED,
    # Repeated equal lengths count as one, as RFC 9110 8.6 allows.
    head(POST, HOST, JSON, "Content-Length: 2", "Content-Length: 2") + b"{}",
    head(POST, HOST, JSON, "Content-Length: 0"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_request_with_ambiguous_length_is_rejected(server: Server, attack: Attack, name: str) -> None:
    """One response, and the smuggled request is not served. After an unambiguous request it is."""
    reply = exchange(server.url, AMBIGUOUS[name] + SMUGGLED)
    attack.refused(reply.statuses in ([400], [501]), reply.raw)
    attack.refused(b"connection: close" in reply.raw.lower(), reply.raw)
    clear = CLEAR[list(AMBIGUOUS).index(name) % len(CLEAR)]
    served = exchange(server.url, clear + SMUGGLED)
    attack.allowed(served.statuses == [401, 200], served.raw)
