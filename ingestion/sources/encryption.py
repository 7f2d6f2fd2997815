"""Check that passwords and documents cross the internet encrypted."""

import httpx

from cairn.http.ssrf_guard import Address, AddressNotAllowed, is_public, resolve_server
from cairn.messages import CodedMessage
from ingestion.sources.protocol import SourceRefused, SourceUnavailable


def find_addresses(host: str, port: int, *, encrypted: bool) -> list[Address]:
    """Return the addresses of a server, to connect to instead of its name.

    Raises SourceUnavailable if it has none, and SourceRefused if no server may be there, or if the connection
    isn't encrypted and would leave the own network.
    """
    try:
        addresses = resolve_server(host, port)
    except AddressNotAllowed as error:
        raise SourceRefused(CodedMessage("source_address_forbidden", server=host)) from error
    except httpx.ConnectError as error:
        raise SourceUnavailable(CodedMessage("source_name_unknown", server=host)) from error
    if not encrypted and any(map(is_public, addresses)):
        raise SourceRefused(CodedMessage("source_unencrypted_refused", server=host))
    return addresses
