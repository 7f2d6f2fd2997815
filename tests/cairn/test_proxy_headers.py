from ipaddress import ip_network
from typing import Any

import pytest

from cairn.http.proxy_headers import Forwarded

TRUSTED = [ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("::1")]
Told = tuple[str, str]


async def seen(peer: str | None, *headers: Told) -> Told:
    """Client and scheme, as the application sees them."""
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 5000) if peer else None,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }

    async def application(scope: Any, _receive: Any, _send: Any) -> None:
        found.append(scope)

    found: list[Any] = []
    await Forwarded(application, trusted=TRUSTED)(scope, None, None)
    [told] = found
    return (told["client"] or ("",))[0], told["scheme"]


FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


@pytest.mark.parametrize(
    ("peer", "headers", "client", "scheme"),
    [
        ("127.0.0.1", [], "127.0.0.1", "http"),
        ("127.0.0.1", [(FOR, "192.0.2.7"), (PROTO, "https")], "192.0.2.7", "https"),
        ("::ffff:127.0.0.1", [(FOR, "192.0.2.7")], "192.0.2.7", "http"),
        ("::1", [(FOR, "[2001:db8::1]:443")], "2001:db8::1", "http"),
        ("10.1.2.3", [(FOR, "192.0.2.7:1234")], "192.0.2.7", "http"),
        # Clients may write anything: only what trusted proxies added counts.
        ("127.0.0.1", [(FOR, "127.0.0.1, 192.0.2.7")], "192.0.2.7", "http"),
        ("127.0.0.1", [(FOR, "1.1.1.1, 192.0.2.7, 10.0.0.9")], "192.0.2.7", "http"),
        ("127.0.0.1", [(FOR, "1.1.1.1"), (FOR, "192.0.2.7")], "192.0.2.7", "http"),
        ("127.0.0.1", [(FOR, "1.1.1.1, nonsense")], "127.0.0.1", "http"),
        ("127.0.0.1", [(FOR, "1.1.1.1, nonsense, 10.0.0.9")], "10.0.0.9", "http"),
        ("127.0.0.1", [(FOR, "\xff" * 5000), (PROTO, "gopher")], "127.0.0.1", "http"),
        ("127.0.0.1", [(PROTO, "https, http")], "127.0.0.1", "http"),
        # No one else is trusted.
        ("192.0.2.9", [(FOR, "127.0.0.1"), (PROTO, "https")], "192.0.2.9", "http"),
        ("::ffff:192.0.2.9", [(FOR, "127.0.0.1")], "::ffff:192.0.2.9", "http"),
        (None, [(FOR, "127.0.0.1"), (PROTO, "https")], "", "http"),
    ],
)
async def test_only_trusted_proxies_are_believed(
    peer: str | None, headers: list[Told], client: str, scheme: str
) -> None:
    assert await seen(peer, *headers) == (client, scheme)


CLIENT = "192.0.2.7"


@pytest.mark.parametrize(
    "forged",
    [
        "127.0.0.1",
        "127.8.8.8",
        "127.0.0.1:80",
        "::1",
        "[::1]",
        "[::1]:443",
        "::ffff:127.0.0.1",
        "[::ffff:127.0.0.1]:80",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%lo",
        "2001:db8::1%lo",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "localhost",
        "unix:",
        "",
        "127.1",
        "0x7f000001",
        "2130706433",
        "127.0.0.1 192.0.2.7",
        "[::1",
        "::1]",
        "127.0.0.1:80:80",
        "127.0.0.1:x",
    ],
)
async def test_forged_header_cannot_yield_a_local_address(forged: str) -> None:
    """The proxy itself counts as the client then, as if the header were not there."""
    assert (await seen("10.1.2.3", (FOR, forged)))[0] == "10.1.2.3"
    assert (await seen("10.1.2.3", (FOR, f"{CLIENT}, {forged}")))[0] == "10.1.2.3"
    assert (await seen("10.1.2.3", (FOR, CLIENT), (FOR, forged)))[0] == "10.1.2.3"
    assert (await seen("10.1.2.3", (FOR, f"{forged}, {CLIENT}")))[0] == CLIENT
    assert (await seen("10.1.2.3", ("Forwarded", f"for={forged}"), ("X-Real-IP", forged)))[0] == "10.1.2.3"
