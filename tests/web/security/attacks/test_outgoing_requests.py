"""Requests that Cairn sends to other machines: redirects, DNS rebinding and disguised addresses.

Real servers listen on loopback addresses of the test's own. One of them stands in for the public internet,
every other address is judged as in production.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Thread
from typing import Any

import httpx
import pytest
from pytest_socket import socket_allow_hosts

from cairn.http import ssrf_guard
from tests.backends import free_port
from tests.threaded_server import SilentRequests
from tests.web.security.attacks.recorder import Attack

CONFIGURED, PUBLIC, INSIDE = "127.0.0.1", "127.0.0.77", "127.0.0.88"
STANDING_IN = {CONFIGURED: "93.184.215.14", PUBLIC: "93.184.215.15"}
METADATA = "169.254.169.254"
Fetch = Callable[[str], httpx.Response]


class Listener:
    """Answers `/to/CODE?URL` with a redirect there, anything else with its own address."""

    def __init__(self, address: str, port: int) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                path, _, target = self.path.partition("?")
                self.send_response(int(path.removeprefix("/to/")) if target else 200)
                if target:
                    self.send_header("Location", target)
                self.send_header("Content-Length", str(len(address)))
                self.end_headers()
                self.wfile.write(address.encode())

        self.server = ThreadingHTTPServer((address, port), Handler)

    def __enter__(self) -> "Listener":
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Internet:
    """The configured server, a public and an internal one on one port, and a DNS server controlled by the
    attacker: each look-up returns the next address, and the last one repeats."""

    def __init__(self, listeners: dict[str, Listener], port: int) -> None:
        self.listeners, self.port = listeners, port
        self.names: dict[str, list[list[str]]] = {}
        self.looked_up: list[str] = []

    def url(self, host: str, path: str = "/") -> str:
        return f"http://{host}:{self.port}{path}"

    def led_by(self, target: str, code: int = 302) -> str:
        """An address of the configured server that redirects to the target."""
        return self.url(CONFIGURED, f"/to/{code}?{target}")

    def was_inside(self) -> bool:
        return bool(self.listeners[INSIDE].asked)

    def addresses(self, host: str) -> list[str]:
        self.looked_up.append(host)
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    socket_allow_hosts([*STANDING_IN, INSIDE, "::1"], allow_unix_socket=True)
    port = free_port()
    with ExitStack() as stack:
        listeners = {
            address: stack.enter_context(Listener(address, port)) for address in (*STANDING_IN, INSIDE)
        }
        internet = Internet(listeners, port)
        _answer_look_ups(internet, monkeypatch)
        _stand_in(monkeypatch)
        yield internet


def _answer_look_ups(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(asked: str | bytes, port: Any, *more: Any, **options: Any) -> Any:
        host = asked if isinstance(asked, str) else asked.decode()
        if host not in internet.names:
            return real(host, port, *more, **options)
        found = internet.addresses(host)
        return [answer for each in found for answer in real(each, port, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ssrf_guard.is_public
    monkeypatch.setattr(
        ssrf_guard, "is_public", lambda address: real(ip_address(STANDING_IN.get(str(address), str(address))))
    )


@pytest.fixture(params=["sync", "async"])
def fetch(request: pytest.FixtureRequest, internet: Internet) -> Fetch:
    """GET as the clients of models do it, following redirects."""
    configured = internet.url(CONFIGURED)

    def sync(url: str) -> httpx.Response:
        with ssrf_guard.client(configured, follow_redirects=True, timeout=2) as http:
            return http.get(url)

    async def later(url: str) -> httpx.Response:
        async with ssrf_guard.async_client(configured, follow_redirects=True, timeout=2) as http:
            return await http.get(url)

    return sync if request.param == "sync" else lambda url: asyncio.run(later(url))


def is_refused(fetch: Fetch, url: str) -> bool:
    try:
        fetch(url)
    except (httpx.TransportError, httpx.InvalidURL):
        return True
    return False


def reaches_public(fetch: Fetch, url: str) -> bool:
    return fetch(url).text == PUBLIC


DISGUISED = (
    INSIDE, METADATA, "[::ffff:127.0.0.88]", "[::ffff:7f00:58]", "[64:ff9b::7f00:58]", "2130706520",
    "0x7f000058", "127.88", "0177.0.0.0130", "[::1]", "0.0.0.0", "10.0.0.1", "[fd00::1]",
    "public@127.0.0.88", "public.example:80@127.0.0.88",
)  # fmt: skip


@pytest.mark.parametrize(
    ("host", "code"),
    [*((host, 302) for host in DISGUISED), *((INSIDE, code) for code in (301, 303, 307, 308))],
)
def test_redirect_to_an_internal_address_is_not_followed(
    attack: Attack, internet: Internet, fetch: Fetch, host: str, code: int
) -> None:
    attack.refused(is_refused(fetch, internet.led_by(internet.url(host), code)))
    attack.refused(not internet.was_inside())
    attack.allowed(reaches_public(fetch, internet.led_by(internet.url(PUBLIC), code)))


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd", "ftp://127.0.0.88/", "gopher://127.0.0.88:6379/_FLUSHALL",
        "dict://127.0.0.88:11211/", "unix:///var/run/docker.sock", "data:text/plain,hello",
        "//127.0.0.88:{port}/", "http:\\\\127.0.0.88:{port}/", "https://127.0.0.88:{port}/",
    ],
)  # fmt: skip
def test_redirect_to_another_scheme_does_not_reach_inside(
    attack: Attack, internet: Internet, fetch: Fetch, target: str
) -> None:
    attack.refused(is_refused(fetch, internet.led_by(target.format(port=internet.port))))
    attack.refused(not internet.was_inside())
    attack.allowed(reaches_public(fetch, internet.led_by(f"//{PUBLIC}:{internet.port}/")))


def test_every_hop_of_a_chain_is_checked(attack: Attack, internet: Internet, fetch: Fetch) -> None:
    """Through a public server in between, which redirects inside in its turn."""
    inside = internet.url(PUBLIC, f"/to/302?{internet.url(INSIDE)}")
    attack.refused(is_refused(fetch, internet.led_by(inside)))
    attack.refused(not internet.was_inside())
    public = internet.url(PUBLIC, f"/to/302?{internet.url(PUBLIC)}")
    attack.allowed(reaches_public(fetch, internet.led_by(public)))


REBINDING = {
    "second look-up inside": [[PUBLIC], [INSIDE]],
    "inside among public ones": [[PUBLIC, INSIDE]],
    "inside first": [[INSIDE, PUBLIC]],
    "mapped to version 6": [["::ffff:127.0.0.88"]],
    "mapped, next to a public one": [[PUBLIC, "::ffff:127.0.0.88"]],
    "loopback of version 6": [["::1"]],
    "the metadata service": [[METADATA]],
    "a private network": [["10.0.0.1"]],
    "unspecified": [["0.0.0.0"]],
}


@pytest.mark.parametrize("answers", REBINDING.values(), ids=REBINDING.keys())
@pytest.mark.parametrize("by_redirect", [True, False], ids=["by redirect", "directly"])
def test_dns_rebinding_is_prevented(
    attack: Attack, internet: Internet, fetch: Fetch, answers: list[list[str]], by_redirect: bool
) -> None:
    """The checked address is connected to, and each request is checked again."""
    url = internet.url("rebinding.example")
    url = internet.led_by(url) if by_redirect else url
    internet.names["rebinding.example"] = [list(each) for each in answers]
    for number in range(len(answers)):
        if answers[number] == [PUBLIC]:
            attack.allowed(reaches_public(fetch, url))
        else:
            attack.refused(is_refused(fetch, url))
    attack.refused(not internet.was_inside())
    attack.refused(len(internet.looked_up) == len(answers), "one look-up for each request")
    internet.names["rebinding.example"] = [[PUBLIC]]
    attack.allowed(reaches_public(fetch, url))


@pytest.mark.parametrize("name", ["models.example", "MODELS.example.", "127.0.0.1.models.example"])
def test_name_similar_to_the_configured_host_is_not_trusted(
    attack: Attack, internet: Internet, fetch: Fetch, name: str
) -> None:
    internet.names[name.lower().rstrip(".")] = [[INSIDE]]
    attack.refused(is_refused(fetch, internet.url(name)))
    attack.refused(not internet.was_inside())
    attack.allowed(fetch(internet.url(CONFIGURED)).text == CONFIGURED)
