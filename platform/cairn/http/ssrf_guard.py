"""Outgoing HTTP, protected against SSRF.

Addresses are checked after name resolution, again at every redirect, and the connection uses the checked
address, so DNS rebinding has no effect. They must be on the public internet: not this machine, not its
network. Hosts that an admin has named, in the URL of a server or in OUTGOING_ALLOWED_HOSTS, are exempt.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from cairn.settings import environment

Address = IPv4Address | IPv6Address
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
_NAT64: Final = IPv6Network("64:ff9b::/96")
LOOK_UP_SECONDS: Final = 10.0
"""For the addresses of a name. The resolver of the system may take much longer, and can't be interrupted."""
_NO_REUSE: Final = httpx.Limits(max_keepalive_connections=0)  # each connection was made for one host


class AddressNotAllowed(httpx.ConnectError):
    """Raised for a host on this machine or in its network that no admin has named."""


def client(url: str, *, from_console: bool = False, **options: Any) -> httpx.Client:
    """Return a client for a server that an admin has configured. `from_console`: not by whoever runs
    Cairn's own server, whose metadata service must stay out of reach."""
    return httpx.Client(transport=GuardedTransport(url, from_console=from_console), **options)


def async_client(url: str, *, from_console: bool = False, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=AsyncGuardedTransport(url, from_console=from_console), **options)


def resolve_server(host: str, port: int) -> list[Address]:
    """Return the addresses of a server that an admin has named in the console, for protocols other than HTTP.
    Connect to one of these addresses, never to the name, which could lead elsewhere the next time.

    Raises httpx.ConnectError if the name has no address, and AddressNotAllowed if no server may be there.
    """
    name = _normalize_host(host)
    try:
        addresses = _resolve(name, port)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{name} has no address") from error
    if not all(map(is_of_server, addresses)):
        raise AddressNotAllowed(f"{name}: no server may be at this address")
    return addresses


class GuardedTransport(httpx.BaseTransport):
    """Transport that allows the host of `url` by name. It ignores proxies of the environment, because
    the addresses that a proxy connects to cannot be checked."""

    def __init__(self, url: str, *, from_console: bool = False) -> None:
        self._named = _list_named_hosts("" if from_console else url)
        self._console_host = _normalize_host(urlsplit(url).hostname or "") if from_console else None
        self._open, self._checked = httpx.HTTPTransport(), httpx.HTTPTransport(limits=_NO_REUSE)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if _host(request) in self._named:
            return self._open.handle_request(request)
        failure = _unknown(request)
        for hop in _hops(request, _resolve_host(request), self._console_host):
            try:
                return self._checked.handle_request(hop)
            except httpx.ConnectError as error:
                failure = error
            except httpx.RemoteProtocolError as error:
                raise _unreadable(request) from error
        raise failure

    def close(self) -> None:
        self._open.close()
        self._checked.close()


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """The same, in an event loop."""

    def __init__(self, url: str, *, from_console: bool = False, verify: ssl.SSLContext | bool = True) -> None:
        self._named = _list_named_hosts("" if from_console else url)
        self._console_host = _normalize_host(urlsplit(url).hostname or "") if from_console else None
        self._open = httpx.AsyncHTTPTransport(verify=verify)
        self._checked = httpx.AsyncHTTPTransport(verify=verify, limits=_NO_REUSE)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if _host(request) in self._named:
            return await self._open.handle_async_request(request)
        failure = _unknown(request)
        for hop in _hops(request, await _resolve_host_async(request), self._console_host):
            try:
                return await self._checked.handle_async_request(hop)
            except httpx.ConnectError as error:
                failure = error
            except httpx.RemoteProtocolError as error:
                raise _unreadable(request) from error
        raise failure

    async def aclose(self) -> None:
        await self._open.aclose()
        await self._checked.aclose()


def is_public(address: Address) -> bool:
    """Return whether an address is on the public internet. IPv4 addresses in IPv6 form count as IPv4."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour or address.teredo or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_of_server(address: Address) -> bool:
    """Return whether a server may have this address. Link-local ones, where cloud providers tell machines
    their credentials, and other metadata services are none."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_of_server(address.ipv4_mapped)
        if address in _NAT64:
            return is_of_server(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour or address.teredo:
            return False
    unusable = address.is_link_local or address.is_multicast or address.is_unspecified
    return not (unusable or address in _METADATA)


def _list_named_hosts(url: str) -> frozenset[str]:
    hosts = (*filter(None, [urlsplit(url).hostname]), *environment().outgoing_allowed_hosts)
    return frozenset(map(_normalize_host, hosts))


def _normalize_host(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _host(request: httpx.Request) -> str:
    return _normalize_host(request.url.raw_host.decode("ascii"))


def _resolve_host(request: httpx.Request) -> list[Address]:
    try:
        return _resolve(_host(request), _port(request))
    except OSError as error:
        raise _unknown(request) from error


async def _resolve_host_async(request: httpx.Request) -> list[Address]:
    looking_up = asyncio.wrap_future(_begin_look_up(_host(request), _port(request)))
    try:
        return await asyncio.wait_for(looking_up, LOOK_UP_SECONDS)
    except OSError as error:
        raise _unknown(request) from error


def _port(request: httpx.Request) -> int:
    return request.url.port or (443 if request.url.scheme == "https" else 80)


def _resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host. Raises TimeoutError, which is an OSError, after LOOK_UP_SECONDS."""
    return _begin_look_up(host, port).result(LOOK_UP_SECONDS)


def _begin_look_up(host: str, port: int) -> "Future[list[Address]]":
    """Look up a host in a thread that nobody waits for: neither the event loop when it closes, as it does for
    those of its executor, nor the process when it ends."""
    found: Future[list[Address]] = Future()
    found.set_running_or_notify_cancel()
    Thread(target=_look_up, args=(host, port, found), name="look-up", daemon=True).start()
    return found


def _look_up(host: str, port: int, result: "Future[list[Address]]") -> None:
    try:
        result.set_result(_list_addresses(host, port))
    except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
        result.set_exception(error)


def _list_addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(address[0]) for *_, address in found))


def _unknown(request: httpx.Request) -> httpx.ConnectError:
    return httpx.ConnectError(f"{_host(request)} has no address", request=request)


def _unreadable(request: httpx.Request) -> httpx.RemoteProtocolError:
    """Return an error without the first line of the response, which other services say to everybody."""
    return httpx.RemoteProtocolError(f"{_host(request)} sends no valid HTTP response", request=request)


def _hops(
    request: httpx.Request, addresses: Sequence[Address], console_host: str | None
) -> Iterator[httpx.Request]:
    """The request to each of the addresses, in the name of its host. Refused if one is not public, or for a
    host named in the console, if none of a server."""
    from_console = _host(request) == console_host
    if from_console and not all(map(is_of_server, addresses)):
        raise AddressNotAllowed(f"{_host(request)}: no server may be at this address", request=request)
    if not from_console and not all(map(is_public, addresses)):
        raise AddressNotAllowed(
            f"{_host(request)} is on this machine or in its network. An admin can allow it by name in "
            "OUTGOING_ALLOWED_HOSTS.",
            request=request,
        )
    for address in addresses:
        yield httpx.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": _host(request)},
        )
