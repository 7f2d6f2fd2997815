"""Pages that a crawl has read, kept in a temporary file until they are fetched."""

import tempfile
import zlib
from typing import IO, Final, NamedTuple, Self

from ingestion.sources.kinds.website.page_requests import Html

MAX_STORED_BYTES: Final = 200_000_000
"""Bytes of compressed pages. Further pages aren't stored, and are requested again to be fetched."""


class StoredPage(NamedTuple):
    """Content of a page. `charset` is the one that the server named, if any."""

    content: bytes
    charset: str


class _Entry(NamedTuple):
    start: int
    length: int
    version: str
    charset: str


class PageStore:
    """Content of pages by address and version, so that a page is requested once in a sync.

    It is a cache: what doesn't fit, or can't be written because the disk is full, is missing.
    """

    def __init__(self) -> None:
        # Without a buffer, which would raise the error of a full disk again when the file is closed.
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed on exit
        self._entries: dict[str, _Entry] = {}
        self._size = 0

    def add(self, address: str, version: str, page: Html) -> None:
        content = zlib.compress(page.content, 1)
        if self._size + len(content) > MAX_STORED_BYTES:
            return
        try:
            self._file.seek(self._size)
            written = self._file.write(content)
        except OSError:
            return
        if written != len(content):
            return
        self._entries[address] = _Entry(self._size, len(content), version, page.charset)
        self._size += len(content)

    def find(self, address: str, version: str) -> StoredPage | None:
        """Return a page, None if it isn't stored in this version."""
        entry = self._entries.get(address)
        if entry is None or entry.version != version:
            return None
        self._file.seek(entry.start)
        return StoredPage(zlib.decompress(self._file.read(entry.length)), entry.charset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self._file.close()
