"""Outgoing requests are not led to internal addresses."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from cairn.http import ssrf_guard
from cairn.http.ssrf_guard import AddressNotAllowed, is_public, resolve_server
from cairn.settings import Environment
from tests.threaded_server import SilentRequests

PUBLIC = "93.184.215.14"
Fetch = Callable[..., httpx.Response]
Names = dict[str, list[str]]


class Redirector:
    """Answers `/to?URL` with a redirect there, anything else with "here"; notes the hosts asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        hosts = self.asked

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hosts.append(self.headers["Host"])
                path, _, target = self.path.partition("?")
                self.send_response(307 if path == "/to" else 200)
                if path == "/to":
                    self.send_header("Location", target)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"here")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
def redirect_server() -> Iterator[Redirector]:
    redirector = Redirector()
    thread = Thread(target=redirector.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield redirector
    redirector.server.shutdown()
    redirector.server.server_close()
    thread.join()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Addresses of names, each time it is asked the next; the last one for good."""
    known: Names = {}
    real = socket.getaddrinfo

    def resolve(asked: str | bytes, port: int, *more: Any, **options: Any) -> Any:
        host = asked if isinstance(asked, str) else asked.decode()
        if host not in known:
            return real(host, port, *more, **options)
        address = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(address, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.fixture(params=["client", "async_client"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """GET, with redirects followed, by a client for the server at the first URL."""

    def sync(configured: str, url: str) -> httpx.Response:
        with ssrf_guard.client(configured, follow_redirects=True, timeout=2) as http:
            return http.get(url)

    async def later(configured: str, url: str) -> httpx.Response:
        async with ssrf_guard.async_client(configured, follow_redirects=True, timeout=2) as http:
            return await http.get(url)

    def by_loop(configured: str, url: str) -> httpx.Response:
        return asyncio.run(later(configured, url))

    return sync if request.param == "client" else by_loop


def allow(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    monkeypatch.setattr(ssrf_guard, "environment", lambda: Environment(outgoing_allowed_hosts=hosts))


def test_configured_host_may_have_any_address(redirect_server: Redirector, fetch: Fetch) -> None:
    assert fetch(redirect_server.url(), redirect_server.url()).text == "here"
    assert fetch(redirect_server.url(), redirect_server.url("/to?/elsewhere")).text == "here"


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST.", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "0",
        "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::]", "169.254.169.254", "10.0.0.1",
        "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[fec0::1]", "[2002:7f00:1::1]",
        "[2001:0:7f00:1::1]", "[::127.0.0.1]", "224.0.0.1", "255.255.255.255", "[ff02::1]",
    ],
)  # fmt: skip
def test_requests_to_local_and_network_addresses_are_refused(
    redirect_server: Redirector, fetch: Fetch, host: str
) -> None:
    target = redirect_server.url(host=host)
    with pytest.raises(AddressNotAllowed, match="OUTGOING_ALLOWED_HOSTS"):
        fetch("http://models.example/v1", target)
    with pytest.raises(AddressNotAllowed):
        fetch(redirect_server.url(), redirect_server.url(f"/to?{target}"))
    assert redirect_server.asked == [f"127.0.0.1:{redirect_server.port}"]


def test_look_up_of_a_name_is_bounded(monkeypatch: pytest.MonkeyPatch, fetch: Fetch) -> None:
    """A name server that doesn't respond keeps neither the request nor the end of its event loop waiting."""
    responds = Event()

    def hang(*_: Any, **__: Any) -> Any:
        responds.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(ssrf_guard, "LOOK_UP_SECONDS", 0.2)
    began = time.monotonic()
    try:
        with pytest.raises(httpx.ConnectError, match="has no address"):
            fetch("http://127.0.0.1/v1", "http://slow.example/")
        with pytest.raises(httpx.ConnectError, match="has no address"):
            resolve_server("slow.example", 25)
        assert time.monotonic() - began < 5
    finally:
        responds.set()


def test_greeting_of_another_service_is_not_repeated() -> None:
    def fetch(url: str) -> None:
        with ssrf_guard.client(url, from_console=True, timeout=2) as http:
            http.get(url)

    async def fetch_async(url: str) -> None:
        async with ssrf_guard.async_client(url, from_console=True, timeout=2) as http:
            await http.get(url)

    for send in (fetch, lambda url: asyncio.run(fetch_async(url))):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = Thread(target=_greet, args=(listener,), daemon=True)
            thread.start()
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                send(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            thread.join()
        assert str(caught.value) == "127.0.0.1 sends no valid HTTP response"


def _greet(listener: socket.socket) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0-internal\r\n\r\n")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "100.100.100.200",
        "192.0.0.192", "[fd00:ec2::254]", "0.0.0.0", "[::]", "224.0.0.1", "rebound.example",
    ],
)  # fmt: skip
def test_host_named_in_the_console_cannot_be_a_metadata_service(
    redirect_server: Redirector, names: Names, host: str
) -> None:
    names["rebound.example"] = ["169.254.169.254"]
    target = redirect_server.url(host=host)
    with ssrf_guard.client(target, from_console=True, timeout=2) as http, pytest.raises(AddressNotAllowed):
        http.get(target)
    assert redirect_server.asked == []


def test_host_named_in_the_console_may_be_in_the_local_network(
    redirect_server: Redirector, names: Names
) -> None:
    names["inside.example"] = ["127.0.0.1"]
    target = redirect_server.url(host="inside.example")
    with ssrf_guard.client(target, from_console=True, timeout=2) as http:
        assert http.get(target).text == "here"
        with pytest.raises(AddressNotAllowed):
            http.get(redirect_server.url(host="localhost"))


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "fe80::1", "[fe80::1]", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "100.100.100.200", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "rebound.example", "Rebound.Example.",
    ],
)  # fmt: skip
def test_non_http_server_cannot_be_a_metadata_service(names: Names, host: str) -> None:
    names["rebound.example"] = ["169.254.169.254"]
    with pytest.raises(AddressNotAllowed):
        resolve_server(host, 445)


def test_non_http_server_with_one_forbidden_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", (address, 445)) for address in ("10.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(AddressNotAllowed):
        resolve_server("both.example", 445)


def test_non_http_server_is_connected_to_by_address(names: Names) -> None:
    names["files.example"] = ["10.0.0.1", "169.254.169.254"]
    assert resolve_server("Files.Example.", 445) == [ip_address("10.0.0.1")]
    assert resolve_server("127.0.0.1", 445) == [ip_address("127.0.0.1")]
    assert resolve_server("[::1]", 445) == [ip_address("::1")]


@pytest.mark.parametrize("host", ["nobody.example", "", "a..b", "x" * 300])
def test_unresolvable_non_http_server_has_no_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(asked: str, *_: Any, **__: Any) -> Any:
        asked.encode("idna")
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpx.ConnectError, match="has no address"):
        resolve_server(host, 445)


def test_each_redirect_of_a_chain_is_checked(redirect_server: Redirector, fetch: Fetch, names: Names) -> None:
    names["inside.example"] = ["127.0.0.1"]
    last = redirect_server.url(host="inside.example")
    chain = redirect_server.url(f"/to?{redirect_server.url(f'/to?{last}')}")
    with pytest.raises(AddressNotAllowed, match="inside"):
        fetch(redirect_server.url(), chain)
    assert len(redirect_server.asked) == 2


def test_host_allowed_by_name_excludes_its_subdomains(
    redirect_server: Redirector, fetch: Fetch, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names["inside.example"] = names["below.inside.example"] = ["127.0.0.1"]
    allow(monkeypatch, "Inside.Example.")
    assert (
        fetch(
            redirect_server.url(), redirect_server.url(f"/to?{redirect_server.url(host='inside.example')}")
        ).text
        == "here"
    )
    with pytest.raises(AddressNotAllowed):
        fetch(
            redirect_server.url(),
            redirect_server.url(f"/to?{redirect_server.url(host='below.inside.example')}"),
        )


def test_checked_address_is_the_one_connected_to(
    redirect_server: Redirector, fetch: Fetch, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checked address is connected to, whatever the next DNS answer would be."""
    monkeypatch.setattr(ssrf_guard, "is_public", lambda address: str(address) == "127.0.0.1")
    names["moving.example"] = ["127.0.0.1", "127.0.0.2"]
    url = redirect_server.url(host="moving.example")
    assert fetch("http://models.example/v1", url).text == "here"
    with pytest.raises(AddressNotAllowed):
        fetch("http://models.example/v1", url)


def test_host_with_one_forbidden_address_is_refused(
    redirect_server: Redirector, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [(2, 1, 6, "", (address, redirect_server.port)) for address in (PUBLIC, "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(AddressNotAllowed):
        fetch("http://models.example/v1", redirect_server.url(host="both.example"))


def test_public_address_is_requested_under_its_host_name(
    redirect_server: Redirector, fetch: Fetch, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names["public.example"] = ["127.0.0.1"]
    monkeypatch.setattr(ssrf_guard, "is_public", lambda _: True)
    answer = fetch("http://models.example/v1", redirect_server.url(host="public.example"))
    assert answer.text == "here"
    assert answer.url.host == "public.example"
    assert redirect_server.asked == [f"public.example:{redirect_server.port}"]


def test_unresolvable_host_has_no_address(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpx.ConnectError, match="has no address"):
        fetch("http://models.example/v1", "http://nobody.example/")


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))
