"""A folder on a WebDAV server, listed folder by folder (RFC 4918)."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import httpx

from cairn.http import ssrf_guard
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import StepWarning, check_reading, find_first, run_steps
from ingestion.sources.item_streams import MAX_VERSION_LENGTH, ItemStream, shorten_id
from ingestion.sources.kinds.webdav.multistatus import (
    PROPFIND,
    Entry,
    InvalidAnswer,
    ResponseLimitExceeded,
    read_entries,
)
from ingestion.sources.kinds.webdav.options import WebdavOptions
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    Progress,
    SourceRefused,
    Unlisted,
    WithoutAccess,
)
from ingestion.sources.web_server import WebServer

TIMEOUT_SECONDS: Final = 30.0
MAX_DEPTH: Final = 100
MAX_FOLDERS: Final = 200_000
_UNREADABLE: Final = frozenset((401, 403))
_GONE: Final = frozenset((404, 410))
_NO_TAG: Final = "~"
_SAFE: Final = "/!$&'()*+,;=:@~"


@contextmanager
def connect(options: WebdavOptions) -> Iterator["WebdavSource"]:
    """Open connections to the server as they are needed."""
    password = options.password.get_secret_value()
    client = ssrf_guard.client(
        options.url,
        from_console=True,
        auth=httpx.BasicAuth(options.username, password) if options.username else None,
        headers={"Accept-Encoding": "identity", "User-Agent": "Cairn"},
        timeout=TIMEOUT_SECONDS,
    )
    with client:
        yield WebdavSource(WebServer(options.url, client))


class WebdavSource(WithoutAccess):
    """Paths of folders are relative to the configured one, decoded, and end with a slash; "" is itself."""

    def __init__(self, server: WebServer) -> None:
        parts = urlsplit(server.url)
        self._server = server
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._root = unquote_to_bytes(parts.path)

    def check(self) -> Iterator[CheckStep]:
        """Test the connection, the listing, and the first file of the folder or of those below it."""
        first: list[Item] = []
        is_listed = yield from run_steps(
            ("source_step_connect", self._connect),
            ("source_step_list", lambda: first.extend(find_first(self.list_changes("")))),
        )
        if is_listed:
            yield check_reading(self, first, lambda item: item.name)

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # WebDAV has no cursors
        """Yield all files. A folder that can't be listed is reported, and the others are listed."""
        self._server.require_encryption()
        waiting, seen = [b""], 0
        while waiting:
            folder = waiting.pop()
            seen += 1
            if seen > MAX_FOLDERS:
                raise SourceRefused(CodedMessage("source_answer_endless", server=self._server.name))
            yield Progress()
            found = self._list_or_explain(folder)
            if isinstance(found, Unlisted):
                yield found
                continue
            for entry in found:
                path = self._find_child(folder, entry)
                if path is None:
                    continue
                if not entry.found:
                    name = _decode(path)
                    yield Unlisted(_decode(folder), CodedMessage("source_item_refused", name=name))
                elif entry.is_folder:
                    waiting.append(path.rstrip(b"/") + b"/")
                elif item := self._build_item(folder, entry):
                    yield item
        yield Complete()

    def _connect(self) -> StepWarning:
        self._server.require_encryption()
        return StepWarning(self._server.encryption_warning)

    def _list_or_explain(self, folder: bytes) -> list[Entry] | Unlisted:
        name = _decode(folder)
        if folder.count(b"/") > MAX_DEPTH:
            return Unlisted(_decode(folder), CodedMessage("source_folder_deep", name=name, limit=MAX_DEPTH))
        try:
            return self._list_folder(folder)
        except _FolderFailed as error:
            if not folder:
                raise
            return Unlisted(_decode(folder), error.message)

    def _list_folder(self, folder: bytes) -> list[Entry]:
        url = self._url(folder)
        with self._request("PROPFIND", url, headers=_headers("1"), content=PROPFIND) as response:
            self._require_listing(folder, response)
            return self._read_entries(response)

    def _read_entries(self, response: httpx.Response) -> list[Entry]:
        try:
            return list(read_entries(response.iter_raw()))
        except ResponseLimitExceeded as error:
            raise _FolderFailed(CodedMessage("source_answer_endless", server=self._server.name)) from error
        except InvalidAnswer as error:
            raise _FolderFailed(self._server.invalid(str(error)).message) from error

    def _require_listing(self, folder: bytes, response: httpx.Response) -> None:
        status, name = response.status_code, _decode(folder) or self._url(b"")
        if status == 401:
            raise SourceRefused(CodedMessage("source_sign_in_refused", server=self._server.name))
        if status == 403:
            raise _FolderFailed(CodedMessage("source_folder_refused", name=name))
        if status in _GONE:
            raise _FolderFailed(CodedMessage("source_folder_missing", server=self._server.name, name=name))
        if status != 207 or response.headers.get("Content-Encoding", "identity") != "identity":
            raise _FolderFailed(self._server.invalid(f"HTTP {status}").message)

    @contextmanager
    def _request(self, method: str, url: str, **options: Any) -> Iterator[httpx.Response]:
        path = url.removeprefix(self._url(b""))
        with self._server.request(method, path, **options) as response:
            self._server.require_final_response(response)
            yield response

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a file. An answer with another ETag than the listed one is refused."""
        if not item.uri.startswith(self._url(b"")):  # of an address that was configured before
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        tag = _strong_tag(item.version)
        headers = {"If-Match": f'"{tag}"'} if tag else {}
        with self._request("GET", item.uri, headers=headers) as response:
            _require_item(item, response)
            pieces = _read_pieces(item, response)
            yield io.BufferedReader(ItemStream(pieces, lambda: self._require_unchanged(item)))

    def _require_unchanged(self, item: Item) -> None:
        """Check that the file is still the listed one: servers also send what changes meanwhile."""
        try:
            with self._request("PROPFIND", item.uri, headers=_headers("0"), content=PROPFIND) as response:
                entries = self._read_entries(response) if response.status_code == 207 else []
        except _FolderFailed:
            entries = []
        if not any(_version(entry) == item.version for entry in entries):
            raise ItemChanged(CodedMessage("source_item_changed"))

    def _url(self, path: bytes) -> str:
        return self._origin + quote(self._root + path, safe=_SAFE)

    def _find_child(self, folder: bytes, entry: Entry) -> bytes | None:
        """Return the path of an entry of the folder, None for the folder itself and for entries outside
        it."""
        parent = self._root + folder
        path = unquote_to_bytes(urlsplit(entry.href).path)
        name = path.removeprefix(parent).rstrip(b"/")
        if not path.startswith(parent) or b"/" in name or name in {b"", b".", b".."}:
            return None
        return folder + name

    def _build_item(self, folder: bytes, entry: Entry) -> Item | None:
        path = self._find_child(folder, entry)
        if path is None or entry.is_folder or not entry.found:
            return None
        uri = self._url(path)
        return Item(
            id=shorten_id(f"id:{entry.file_id}" if entry.file_id else quote(path, safe=_SAFE)),
            name=_decode(path.removeprefix(folder)),
            uri=uri,
            version=_version(entry),
            container=_decode(folder),
            size=entry.size,
            modified=entry.modified,
        )


class _FolderFailed(SourceRefused):
    """One folder can't be listed. Others can."""


def _require_item(item: Item, response: httpx.Response) -> None:
    status, etag = response.status_code, response.headers.get("ETag", "")
    if status in _GONE:
        raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
    if status in _UNREADABLE:
        raise ItemUnavailable(CodedMessage("source_item_refused", name=item.name))
    if status == 412:
        raise ItemChanged(CodedMessage("source_item_changed"))
    if status != 200 or response.headers.get("Content-Encoding", "identity") != "identity":
        reason = f"HTTP {status}"
        raise ItemUnavailable(CodedMessage("source_item_broken", name=item.name, reason=reason))
    listed, sent = _strong_tag(item.version), _strong_tag(etag)
    if listed and sent and listed != sent:
        raise ItemChanged(CodedMessage("source_item_changed"))


def _read_pieces(item: Item, response: httpx.Response) -> Iterator[bytes]:
    """Yield the content. A file that ends before its announced size is refused."""
    try:
        yield from response.iter_raw()
    except (httpx.RemoteProtocolError, httpx.ReadError) as error:
        message = CodedMessage("source_item_broken", name=item.name, reason=str(error))
        raise ItemUnavailable(message) from error


def _headers(depth: str) -> dict[str, str]:
    return {"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}


def _version(entry: Entry) -> str:
    if entry.etag and len(entry.etag) < MAX_VERSION_LENGTH:
        return entry.etag
    modified = entry.modified.isoformat() if entry.modified else ""
    return shorten_id(f"{_NO_TAG}{entry.size} {modified} {entry.etag}", MAX_VERSION_LENGTH)


def _strong_tag(version: str) -> str:
    """Return the ETag in a version, without quotes, which some servers omit. "" if it has none, or only a
    weak one, which doesn't identify the bytes."""
    return "" if version.startswith(("W/", _NO_TAG)) else version.strip('"')


def _decode(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace").rstrip("/")
