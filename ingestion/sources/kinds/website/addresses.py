"""Addresses of a website: which ones belong to the selected part, each in one spelling."""

from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

MAX_LENGTH: Final = 1000
_PORTS: Final = {"http": 80, "https": 443}
_SAFE_IN_PATH: Final = "/%:@!$&'()*+,;=~"
_SAFE_IN_QUERY: Final = f"{_SAFE_IN_PATH}?"


class Site:
    """The pages of a website below an address, which ends with a slash."""

    def __init__(self, url: str, *, queries: bool) -> None:
        parts = urlsplit(url)
        self._server = _server(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.start = self.origin + quote(parts.path, safe=_SAFE_IN_PATH)
        self._start_without_slash = self.start.removesuffix("/")
        self._queries = queries

    def find_on_server(self, base: str, link: str) -> str | None:
        """Return the address on this server that a link leads to, without fragment; None for others."""
        try:
            target = urljoin(base, link.strip())
            parts = urlsplit(target)
            if _server(target) != self._server or parts.username is not None:
                return None
        except ValueError:
            return None
        path = urlsplit(urljoin(f"{self.origin}/", quote(parts.path, safe=_SAFE_IN_PATH) or "/")).path
        if any(unquote(segment) in {".", ".."} for segment in path.split("/")):
            return None
        query = f"?{quote(parts.query, safe=_SAFE_IN_QUERY)}" if parts.query else ""
        address = self.origin + path + query
        return address if len(address) <= MAX_LENGTH and "\x00" not in address else None

    def find(self, base: str, link: str) -> str | None:
        """Return the address in the selected part that a link leads to, None for others."""
        address = self.find_on_server(base, link)
        if address is None or not self.has(address):
            return None
        return None if "?" in address and not self._queries else address

    def has(self, address: str) -> bool:
        """Return whether an address on this server is in the selected part.

        The start page without its slash is: some servers redirect there.
        """
        return address.startswith(self.start) or address == self._start_without_slash

    def restore_slash(self, address: str) -> str:
        """Return the start page for its address without the slash, so that it isn't read twice."""
        return self.start if address == self._start_without_slash else address

    def path_of(self, address: str) -> str:
        """Return the path and query of an address on this server, without the first slash."""
        return address.removeprefix(f"{self.origin}/")


def container_of(address: str) -> str:
    """Return the folder that a page appears to be in, such as "handbook/travel"."""
    return unquote(urlsplit(address).path, errors="backslashreplace").rpartition("/")[0].strip("/")


def page_path(address: str) -> str:
    """Return the path of a page as a container of the pages below it."""
    return unquote(urlsplit(address).path, errors="backslashreplace").strip("/")


def page_name(address: str) -> str:
    """Return a file name with the extension of web pages."""
    stem = PurePosixPath(file_name(address)).stem
    return f"{stem or 'index'}.html"


def file_name(address: str) -> str:
    return unquote(urlsplit(address).path.rpartition("/")[2], errors="backslashreplace")


def _server(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme)
