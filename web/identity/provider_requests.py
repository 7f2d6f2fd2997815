"""Guarded requests to OpenID Connect providers, bounded in size and time, without redirects."""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from requests import ConnectionError as ConnectionFailed
from requests import PreparedRequest, Response, Session, Timeout, TooManyRedirects
from requests.adapters import BaseAdapter
from requests.exceptions import InvalidJSONError
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from cairn.http.ssrf_guard import AsyncGuardedTransport

LIMIT_SECONDS: Final = 10.0
"""From the connection to the last byte, however slowly they come."""
MAX_BYTES: Final = 1 << 20
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
_REPLACED_HEADERS: Final = frozenset({"accept-encoding", "connection"})


class UnreadableResponse(InvalidJSONError):
    """Raised for a response that is no JSON object, or too long."""


def names_plain_endpoint(server_url: str, discovery: Mapping[str, Any]) -> bool:
    """Return whether a provider with an https address sends people or Cairn to an endpoint without TLS, where
    others could read codes and tokens, or replace keys."""
    named = (str(discovery[name]) for name in ENDPOINTS if name in discovery)
    return urlsplit(server_url).scheme == "https" and any(
        not endpoint.lower().startswith("https://") for endpoint in named
    )


class ProviderSession(Session):
    """Session for allauth. `servers`: addresses of providers, which may be in the own network; other servers
    that their discovery documents name must be public or in OUTGOING_ALLOWED_HOSTS."""

    def __init__(self, servers: Sequence[str], *, from_console: bool) -> None:
        super().__init__()
        adapter = _GuardedAdapter(servers, from_console=from_console)
        self.mount("https://", adapter)
        self.mount("http://", adapter)


class _GuardedAdapter(BaseAdapter):
    def __init__(self, servers: Sequence[str], *, from_console: bool) -> None:
        super().__init__()
        self._servers = {urlsplit(url).hostname: url for url in servers}
        self._from_console = from_console

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - responses are small
        timeout: Any = None,  # noqa: ARG002 - the limit counts
        verify: bool | str = True,
        cert: Any = None,  # noqa: ARG002 - it is never set
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002 - addresses behind one can't be checked
    ) -> Response:
        host = urlsplit(str(request.url)).hostname
        url = self._servers.get(host, "")
        transport = AsyncGuardedTransport(url, from_console=self._from_console, verify=_trust(verify))
        try:
            found, content = asyncio.run(_fetch(request, transport))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Timeout(f"{host} doesn't respond within {LIMIT_SECONDS:g} seconds.") from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        if found.is_redirect:
            raise TooManyRedirects(f"{host} redirects, which isn't followed.")
        if found.is_success:
            _require_object(host, content)
        return _build_response(request, found, content)

    def close(self) -> None:
        pass


async def _fetch(request: PreparedRequest, transport: AsyncGuardedTransport) -> tuple[httpx.Response, bytes]:
    sent = {name: value for name, value in request.headers.items() if name.lower() not in _REPLACED_HEADERS}
    headers = {name: value if isinstance(value, str) else value.decode() for name, value in sent.items()}
    headers["Accept-Encoding"] = "identity"
    body = request.body if isinstance(request.body, bytes | str) else None
    async with (
        asyncio.timeout(LIMIT_SECONDS),
        httpx.AsyncClient(transport=transport, timeout=LIMIT_SECONDS) as http,
        http.stream(str(request.method), str(request.url), headers=headers, content=body) as response,
    ):
        content = bytearray()
        async for part in response.aiter_raw():
            content += part
            if len(content) > MAX_BYTES:
                raise UnreadableResponse(f"{request.url} responds with more than {MAX_BYTES} bytes.")
        return response, bytes(content)


def _require_object(host: str | None, content: bytes) -> None:
    try:
        is_object = isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise UnreadableResponse(f"{host} doesn't respond with a JSON object.")


def _build_response(request: PreparedRequest, found: httpx.Response, content: bytes) -> Response:
    response = Response()
    response.status_code, response.reason = found.status_code, found.reason_phrase
    response.headers = CaseInsensitiveDict(found.headers)
    response.url, response.request = str(request.url), request
    response.encoding = "utf-8"
    response.raw = BytesIO(content)
    return response


@lru_cache(maxsize=4)
def _trust(verify: bool | str) -> ssl.SSLContext:
    """Return the trusted authorities: of REQUESTS_CA_BUNDLE, which the session passes as a path, or else the
    public ones and those of SSL_CERT_FILE."""
    if isinstance(verify, str):
        path = Path(verify)
        return ssl.create_default_context(
            cafile=None if path.is_dir() else verify, capath=verify if path.is_dir() else None
        )
    context = httpx.create_ssl_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context
