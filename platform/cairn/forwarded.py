"""What proxies say of those for whom they ask: believed only from the proxies that the settings name."""

from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
App = Callable[[Any, Any, Any], Awaitable[None]]
_SCHEMES: Final = frozenset({"http", "https"})


class Forwarded:
    """Sets the client and the scheme of a request to what trusted proxies tell. Of anybody else these headers
    count for nothing, and the name of the host is never taken from one."""

    def __init__(self, app: App, *, trusted: Collection[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        peer = address_in((scope.get("client") or ("",))[0])
        if scope["type"] == "http" and peer is not None and self._trusts(peer):
            scope["client"] = (str(self._client(scope, peer)), 0)
            scope["scheme"] = _scheme(scope)
        await self._app(scope, receive, send)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _client(self, scope: MutableMapping[str, Any], peer: Address) -> Address:
        """Each proxy adds whom it heard: from the end on, the first that is no proxy of ours."""
        client = peer
        for told in reversed(list(_values(scope, b"x-forwarded-for"))):
            address = address_in(told)
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client


def address_in(text: str) -> Address | None:
    """Of `10.0.0.1`, `10.0.0.1:80`, `[::1]:80` and `::ffff:10.0.0.1`; None if there is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _scheme(scope: MutableMapping[str, Any]) -> str:
    told = [value.strip().lower() for value in _values(scope, b"x-forwarded-proto")]
    return told[-1] if told and told[-1] in _SCHEMES else str(scope["scheme"])


def _values(scope: MutableMapping[str, Any], name: bytes) -> Iterator[str]:
    for header, value in scope["headers"]:
        if header == name:
            yield from value.decode("latin-1").split(",")
