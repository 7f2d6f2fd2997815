"""Reads the client address and the scheme from the headers of proxies that the settings name."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
App = Callable[[Any, Any, Any], Awaitable[None]]
_SCHEMES: Final = frozenset({"http", "https"})
_PEER: Final = "cairn.peer"
_FORWARDING_HEADERS: Final = ("Forwarded", "Via", "X-Real-IP", "X-Client-IP", "True-Client-IP")
_WITH_PORT: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::\d{1,5})?")
_NO_CLIENTS: Final = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/3",
        "::/96",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Unspecified, loopback, link-local, multicast and reserved addresses, which no client of a proxy has."""


class Forwarded:
    """Sets the client and the scheme of a request to what a trusted proxy reports.

    Headers from anybody else are ignored, and the host name is never taken from a header. No header makes a
    request look as if it came from this machine.
    """

    def __init__(self, app: App, *, trusted: Collection[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope[_PEER] = (scope.get("client") or ("",))[0]
        peer = parse_address(scope[_PEER])
        if scope["type"] == "http" and peer is not None and self._trusts(peer):
            scope["client"] = (str(self._client(scope, peer)), 0)
            scope["scheme"] = _scheme(scope)
        await self._app(scope, receive, send)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _client(self, scope: MutableMapping[str, Any], peer: Address) -> Address:
        """Each proxy appends the address that it saw, so the last that is no proxy of ours is the client.

        A value that cannot be a client's ends the search, and the proxy that sent it counts as the client.
        """
        client = peer
        for value in reversed(list(_values(scope, b"x-forwarded-for"))):
            address = parse_address(value)
            if address is None or not _can_be_client(address):
                break
            client = address
            if not self._trusts(address):
                break
        return client


def is_local(request: HttpRequest) -> bool:
    """Return whether a program on this machine sent the request itself, rather than through a proxy.

    Decided by the connection's own peer. A request that carries a proxy's header came from elsewhere,
    whatever the header says.
    """
    if any(name in request.headers for name in _FORWARDING_HEADERS):
        return False
    if any(name.startswith("X-Forwarded") for name in request.headers):
        return False
    peer = getattr(request, "scope", {}).get(_PEER, request.META.get("REMOTE_ADDR", ""))
    address = parse_address(peer)
    return address is not None and address.is_loopback


def parse_address(text: str) -> Address | None:
    """Accepts `10.0.0.1`, `10.0.0.1:80`, `::1`, `[::1]:80` and `::ffff:10.0.0.1`; None for anything else."""
    text = text.strip()
    if "%" in text:  # the zone of an IPv6 address is free text
        return None
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _can_be_client(address: Address) -> bool:
    return not any(address in network for network in _NO_CLIENTS)


def _scheme(scope: MutableMapping[str, Any]) -> str:
    values = [value.strip().lower() for value in _values(scope, b"x-forwarded-proto")]
    return values[-1] if values and values[-1] in _SCHEMES else str(scope["scheme"])


def _values(scope: MutableMapping[str, Any], name: bytes) -> Iterator[str]:
    for header, value in scope["headers"]:
        if header == name:
            yield from value.decode("latin-1").split(",")
