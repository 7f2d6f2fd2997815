"""Entries of a folder, parsed from a WebDAV response piece by piece (RFC 4918, 14.16).

The server may be broken or hostile: a response that sends no entries for long, or never ends, is aborted.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from lxml import etree

MAX_BYTES_BETWEEN: Final = 1_000_000
"""Bytes that may arrive until the next entry is complete."""
MAX_SECONDS_BETWEEN: Final = 60.0
MAX_SECONDS: Final = 240.0
MAX_ENTRIES: Final = 200_000
_DAV: Final = "{DAV:}"
_FILE_ID: Final = "{http://owncloud.org/ns}fileid"
_OK: Final = " 200"

PROPFIND: Final = (
    b'<?xml version="1.0" encoding="utf-8"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>'
    b"<d:resourcetype/><d:getcontentlength/><d:getetag/><d:getlastmodified/><oc:fileid/>"
    b"</d:prop></d:propfind>"
)

Node = Any  # lxml's stubs make elements generic in a way that fits none of its functions


class ResponseLimitExceeded(Exception):
    """The response is too large or takes too long."""


class InvalidAnswer(Exception):
    """The answer is not what RFC 4918 describes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder. `href` is its path or URL, percent-encoded. `file_id` stays the same after renaming,
    where the server has such ids. `found`: its properties may be read."""

    href: str
    is_folder: bool
    found: bool
    size: int | None
    etag: str
    modified: datetime | None
    file_id: str


def read_entries(pieces: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a response. Raises ResponseLimitExceeded or InvalidAnswer."""
    parser = etree.XMLPullParser(
        events=("end",),
        tag=f"{_DAV}response",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    bounds = _Bounds()
    try:
        for piece in pieces:
            parser.feed(piece)
            bounds.add_bytes(len(piece))
            yield from _take_entries(parser, bounds)
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise InvalidAnswer(str(error)[:200]) from error
    if root.tag != f"{_DAV}multistatus":
        raise InvalidAnswer("no “multistatus”")


class _Bounds:
    def __init__(self) -> None:
        self._bytes = self._entries = 0
        self._start = self._last = time.monotonic()

    def add_bytes(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        stalled = self._bytes > MAX_BYTES_BETWEEN or now - self._last > MAX_SECONDS_BETWEEN
        if stalled or now - self._start > MAX_SECONDS:
            raise ResponseLimitExceeded

    def add_entry(self) -> None:
        self._entries += 1
        self._bytes, self._last = 0, time.monotonic()
        if self._entries > MAX_ENTRIES:
            raise ResponseLimitExceeded


def _take_entries(parser: Any, bounds: _Bounds) -> Iterator[Entry]:
    for _event, node in parser.read_events():
        bounds.add_entry()
        yield _read_entry(node)
        node.clear()
        parent = node.getparent()
        while parent is not None and node.getprevious() is not None:
            del parent[0]


def _read_entry(node: Node) -> Entry:
    properties: dict[str, Node] = {}
    for group in node.iterfind(f"{_DAV}propstat"):
        if _OK in _text(group.find(f"{_DAV}status")):
            properties |= {each.tag: each for each in group.iterfind(f"{_DAV}prop/*")}
    kind = properties.get(f"{_DAV}resourcetype")
    size = _text(properties.get(f"{_DAV}getcontentlength"))
    return Entry(
        href=_text(node.find(f"{_DAV}href")),
        is_folder=kind is not None and kind.find(f"{_DAV}collection") is not None,
        found=bool(properties),
        size=int(size) if size.isascii() and size.isdecimal() and len(size) < 19 else None,
        etag=_text(properties.get(f"{_DAV}getetag")),
        modified=_read_date(_text(properties.get(f"{_DAV}getlastmodified"))),
        file_id=_text(properties.get(_FILE_ID)),
    )


def _text(node: Node | None) -> str:
    return "" if node is None or not node.text else node.text.strip()


def _read_date(text: str) -> datetime | None:
    with suppress(ValueError, TypeError, OverflowError):
        found = parsedate_to_datetime(text)
        return found if found.tzinfo else None
    return None
