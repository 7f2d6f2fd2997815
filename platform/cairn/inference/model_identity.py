"""Identity of a chat model: its name, and the servers that answer for it, each in one spelling."""

import posixpath
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

from cairn.settings import Environment

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_THIS_MACHINE: Final = "localhost"


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """A model and the servers that answer for it: `server` is empty for one in the process. The same name on
    another server may be another model. Two are equal however their addresses are written: see `identity`."""

    server: str = field(compare=False)
    name: str = field(compare=False)
    identity: tuple[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", _identify(self.server, self.name))


def _identify(server: str, name: str) -> tuple[str, str]:
    """Return the servers and the model in one spelling. Names on a server differ by more than their case, and
    Ollama adds the tag `latest` to those without one; a name without a server may be the path of a file."""
    servers = sorted({_normalize(url) for url in server.split(",") if url.strip()})
    if not servers:
        return "", name
    return ", ".join(servers), name.strip().casefold().removesuffix(":latest")


def _normalize(url: str) -> str:
    """Return a web address in one spelling: whichever of its names is used, all of this machine are equal."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        return url.strip()
    host, scheme = _normalize_host(parts.hostname or ""), parts.scheme.lower()
    path = posixpath.normpath(f"/{unquote(parts.path)}").strip("/")
    return f"{scheme}://{host}:{port or _DEFAULT_PORTS.get(scheme, 0)}/{path}"


def _normalize_host(host: str) -> str:
    name = host.lower().rstrip(".")
    if name == _THIS_MACHINE or name.endswith(f".{_THIS_MACHINE}"):
        return _THIS_MACHINE
    address = _parse_address(name)
    if address is None:
        with suppress(UnicodeError):
            return name.encode("idna").decode()
        return name
    return _THIS_MACHINE if address.is_loopback or address.is_unspecified else str(address)


def _parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is, in whatever way it is written; None for a name."""
    with suppress(ValueError):
        address = ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    with suppress(OSError, UnicodeError):
        return ip_address(socket.inet_aton(host))  # such as 127.1 and 0x7f000001
    return None


def place_of(settings: Environment) -> ModelPlace:
    """Return where the chat model of these settings answers, without secrets."""
    return ModelPlace(", ".join(map(_public, settings.llm_base_urls)), settings.chat_model_name)


def _public(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
