"""No proxy header makes a request from elsewhere look like one from this machine."""

from io import BytesIO
from ipaddress import ip_network
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.test import Client

from cairn.http.proxy_headers import Forwarded
from tests.servers import Server
from tests.web.security.attacks.recorder import Attack
from tests.web.security.attacks.wire import exchange, head
from web.api.framework.metrics import metrics

INSIDE = "10.9.8.7"
LOCAL = [
    "127.0.0.1",
    "127.0.0.1:80",
    "127.99.1.2",
    "::1",
    "[::1]:443",
    "::ffff:127.0.0.1",
    "[::ffff:7f00:1]",
    "0.0.0.0",
    "::",
    "169.254.0.1",
    "fe80::1%lo",
    "localhost",
    "unix:",
    "",
    "127.1",
    "2130706433",
    "192.0.2.7, 127.0.0.1",
    "127.0.0.1, 10.9.8.7",
    "192.0.2.7 127.0.0.1",
]
HEADERS = [
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: ::1",
    "X-Forwarded-For: [::ffff:127.0.0.1]:80",
    "X-Forwarded-For:",
    "X-Forwarded-For: 192.0.2.7,\r\n 127.0.0.1",
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 127.0.0.1",
    "x-forwarded-host: localhost",
    "X-Forwarded-Proto: https",
    "Forwarded: for=127.0.0.1",
    'Forwarded: for="[::1]:80";proto=http',
    "X-Real-IP: 127.0.0.1",
    "X-Client-IP: 127.0.0.1",
    "True-Client-IP: 127.0.0.1",
    "Via: 1.1 proxy",
]


def request_from(peer: str | None, *headers: tuple[str, str]) -> ASGIRequest:
    """Return Django's request for a connection from the peer; all of 10.0.0.0/8 is trusted."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/metrics",
        "scheme": "http",
        "query_string": b"",
        "client": None if peer is None else (peer, 5000),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        pass

    trusted = [ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("::1")]
    async_to_sync(Forwarded(application, trusted=trusted))(scope, None, None)
    return ASGIRequest(scope, BytesIO())


@pytest.mark.django_db
@pytest.mark.parametrize("forged", LOCAL)
def test_no_header_opens_the_metrics(attack: Attack, forged: str) -> None:
    """Not even one from a trusted proxy; a program on this machine reads them without a key."""
    for peer in (INSIDE, "127.0.0.1", "::1", "::ffff:127.0.0.1", "", None):
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            request = request_from(peer, (name, f"for={forged}" if name == "Forwarded" else forged))
            attack.refused(metrics(request).status_code == 401, (peer, name))
    attack.refused(metrics(request_from(INSIDE)).status_code == 401)
    attack.refused(metrics(request_from(None)).status_code == 401)
    for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        attack.allowed(metrics(request_from(peer)).status_code == 200, peer)


@pytest.mark.parametrize("forged", LOCAL)
def test_forwarded_client_is_never_the_local_machine(attack: Attack, forged: str) -> None:
    address = request_from(INSIDE, ("X-Forwarded-For", forged)).META["REMOTE_ADDR"]
    attack.refused(address == INSIDE, address)
    honest = request_from(INSIDE, ("X-Forwarded-For", "192.0.2.7")).META["REMOTE_ADDR"]
    attack.allowed(honest == "192.0.2.7", honest)


@pytest.mark.slow
@pytest.mark.parametrize("header", HEADERS)
def test_proxied_request_is_not_local(server: Server, attack: Attack, header: str) -> None:
    """The proxy is on the same machine, so the peer's address alone would admit everyone."""
    path = "GET /metrics HTTP/1.1"
    forged = exchange(server.url, head(path, "Host: 127.0.0.1", header, "Connection: close"))
    attack.refused(forged.statuses == [401], forged.raw)
    plain = exchange(server.url, head(path, "Host: 127.0.0.1", "Connection: close"))
    attack.allowed(plain.statuses == [200], plain.raw[:300])


@pytest.mark.django_db
def test_client_without_the_servers_scope_is_identified_by_address(attack: Attack) -> None:
    attack.refused(Client().get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 401)
    attack.allowed(Client().get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 200)
