"""Requests to a share: list folders, read files and their security descriptors (MS-SMB2)."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    ImpersonationLevel,
    ShareAccess,
    SMB2CloseRequest,
    SMB2CreateRequest,
    SMB2QueryDirectoryRequest,
    SMB2QueryInfoRequest,
    SMB2ReadRequest,
    SMB2WriteRequest,
)
from smbprotocol.tree import TreeConnect

from cairn.messages import CodedMessage
from ingestion.sources.kinds.smb import statuses
from ingestion.sources.protocol import SourceUnavailable, describe_error

TIMEOUT_SECONDS: Final = 30
LISTING_BYTES: Final = 256 * 1024
READING_BYTES: Final = 1024 * 1024
DESCRIPTOR_BYTES: Final = 64 * 1024
PIPELINED: Final = 8
"""Files whose descriptors are requested together. Each takes four of the 64 credits that servers grant."""

READ_DATA: Final = 0x00000001
"""Read a file, or list a folder."""
READ_ATTRIBUTES: Final = 0x00000080
READ_CONTROL: Final = 0x00020000
SYNCHRONIZE: Final = 0x00100000
REPARSE_POINT: Final = 0x400

_ENTRY: Final = struct.Struct("<I4xq8xq8xq8xIII28xQ")
_BUFFER: Final = struct.Struct("<2xHI")
_CREATED: Final = struct.Struct("<8xq8xq16xqI4x16s")
_SAME_FILE: Final = b"\xff" * 16
_SHARING: Final = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_HEADER_SIZE: Final = 64
_ID_BOTH_DIRECTORY: Final = 37
_INTERNAL: Final = 6
_INFO_FILE, _INFO_SECURITY = 1, 3
_OWNER_AND_DACL: Final = 1 | 4


class ItemFailure(Exception):
    """A file or folder can't be opened or read, with the server's status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:08X}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in a listing. Times count 100 nanoseconds since 1601."""

    name: str
    file_id: int
    attributes: int
    reparse_tag: int
    created: int
    written: int
    size: int


@dataclass(frozen=True, slots=True)
class Security:
    """The descriptor of a file, and what identifies the file that it belongs to."""

    file_id: int
    created: int
    descriptor: bytes


@dataclass(frozen=True, slots=True)
class Handle:
    id: bytes
    created: int
    attributes: int


class PatientConnection(Connection):  # type: ignore[misc]  # smbprotocol has no types
    """A connection that waits for no answer forever, and follows no symbolic links."""

    def receive(
        self,
        request: Any,
        wait: bool = True,
        timeout: float | None = None,
        resolve_symlinks: bool = False,
    ) -> Any:
        return super().receive(request, wait, timeout or TIMEOUT_SECONDS, resolve_symlinks)


class ShareClient:
    """A share as one account sees it. All paths are relative to the share, with slashes."""

    def __init__(self, tree: TreeConnect, server: str) -> None:
        self._connection, self._tree, self._server = tree.session.connection, tree, server

    def list_folder(self, path: str) -> Iterator[Entry]:
        """Yield the entries of a folder, fetched in pieces of LISTING_BYTES. Raises ItemFailure."""
        options = CreateOptions.FILE_DIRECTORY_FILE | CreateOptions.FILE_OPEN_REPARSE_POINT
        with self.open_handle(path, READ_DATA | SYNCHRONIZE, options) as folder:
            while piece := self._read_listing(folder.id):
                yield from read_entries(piece)

    def read_securities(self, paths: Sequence[str]) -> Iterator[Security | ItemFailure]:
        """Yield the descriptor of each path, or why it can't be read, in the given order."""
        for start in range(0, len(paths), PIPELINED):
            with translate_errors(self._server):
                sent = [self._send(*_ask_security(path)) for path in paths[start : start + PIPELINED]]
            for requests in sent:
                yield self._receive_security(requests)

    def read_file_id(self, handle: bytes) -> int:
        """Return the number of an open file, which stays the same when it is renamed."""
        return int.from_bytes(self._ask(_query_info(_INFO_FILE, _INTERNAL, handle))[:8], "little")

    def read_piece(self, handle: bytes, offset: int, length: int) -> bytes:
        """Return at most `length` bytes, b"" at the end. Raises ItemFailure."""
        message = SMB2ReadRequest()
        message["length"] = min(length, READING_BYTES, self._connection.max_read_size)
        message["offset"] = offset
        message["file_id"] = handle
        message["padding"] = b"\x50"
        return self._ask(message, end=statuses.END_OF_FILE)

    def write_pipe(self, handle: bytes, data: bytes) -> None:
        """Send data to an open named pipe. Files are never written to."""
        message = SMB2WriteRequest()
        message["length"] = len(data)
        message["file_id"] = handle
        message["buffer"] = data
        with translate_errors(self._server):
            self._receive(self._send(message)[0])

    @contextmanager
    def open_handle(self, path: str, access: int, options: int) -> Iterator[Handle]:
        """Open a file, folder or pipe without locking it for others. Raises ItemFailure."""
        with translate_errors(self._server):
            answer = self._receive(self._send(_create(path, access, options))[0])
        created, _, _, attributes, handle = _CREATED.unpack_from(answer)
        try:
            yield Handle(handle, created, attributes)
        finally:
            with suppress(SMBException, OSError):
                self._receive(self._send(_close(handle))[0])

    def _read_listing(self, handle: bytes) -> bytes:
        message = SMB2QueryDirectoryRequest()
        message["file_information_class"] = _ID_BOTH_DIRECTORY
        message["file_id"] = handle
        message["output_buffer_length"] = min(LISTING_BYTES, self._connection.max_transact_size)
        message["buffer"] = "*".encode("utf-16-le")
        return self._ask(message, end=statuses.NO_MORE_FILES)

    def _receive_security(self, requests: Sequence[Any]) -> Security | ItemFailure:
        answers: list[bytes | ItemFailure] = []
        for request in requests:
            try:
                with translate_errors(self._server):
                    answers.append(self._receive(request))
            except ItemFailure as failure:
                answers.append(failure)
        for answer in answers[:3]:
            if isinstance(answer, ItemFailure):
                return answer
        opened, internal, descriptor, _ = answers
        assert isinstance(opened, bytes)
        assert isinstance(internal, bytes)
        assert isinstance(descriptor, bytes)
        file_id = int.from_bytes(_take_buffer(internal)[:8], "little")
        return Security(file_id, _CREATED.unpack_from(opened)[0], _take_buffer(descriptor))

    def _ask(self, message: Any, *, end: int | None = None) -> bytes:
        """Return the buffer of the answer; b"" if the status is `end`."""
        try:
            with translate_errors(self._server):
                answer = self._receive(self._send(message)[0])
        except ItemFailure as failure:
            if failure.status == end:
                return b""
            raise
        return _take_buffer(answer)

    def _send(self, *messages: Any) -> Sequence[Any]:
        session, tree = self._tree.session.session_id, self._tree.tree_connect_id
        sent: Sequence[Any] = self._connection.send_compound(messages, session, tree, len(messages) > 1)
        return sent

    def _receive(self, request: Any) -> bytes:
        data: bytes = self._connection.receive(request)["data"].get_value()
        return data


@contextmanager
def translate_errors(server: str) -> Iterator[None]:
    """Raise ItemFailure for errors of a single file, and SourceUnavailable for all others."""
    try:
        yield
    except SMBResponseException as error:
        if error.status in statuses.OF_ONE_ITEM:
            raise ItemFailure(error.status) from error
        reason = f"0x{error.status:08X}"
        raise SourceUnavailable(CodedMessage("source_interrupted", server=server, reason=reason)) from error
    except (SMBException, OSError, ValueError, struct.error) as error:
        reason = describe_error(error)
        raise SourceUnavailable(CodedMessage("source_interrupted", server=server, reason=reason)) from error


def read_entries(piece: bytes) -> Iterator[Entry]:
    """Yield the entries of a listing (FileIdBothDirectoryInformation, MS-FSCC 2.4.22)."""
    offset = 0
    while True:
        following, created, written, size, attributes, length, tag, file_id = _ENTRY.unpack_from(
            piece, offset
        )
        start = offset + _ENTRY.size
        name = piece[start : start + length].decode("utf-16-le", "surrogatepass")
        yield Entry(
            name, file_id, attributes, tag if attributes & REPARSE_POINT else 0, created, written, size
        )
        if not following:
            return
        offset += following


def _take_buffer(answer: bytes) -> bytes:
    offset, length = _BUFFER.unpack_from(answer)
    start = (offset & 0xFF if answer[0] == 17 else offset) - _HEADER_SIZE
    return answer[start : start + length]


def _ask_security(path: str) -> list[Any]:
    options = CreateOptions.FILE_OPEN_REPARSE_POINT
    return [
        _create(path, READ_CONTROL | READ_ATTRIBUTES, options),
        _query_info(_INFO_FILE, _INTERNAL, _SAME_FILE),
        _query_info(_INFO_SECURITY, 0, _SAME_FILE),
        _close(_SAME_FILE),
    ]


def _create(path: str, access: int, options: int) -> Any:
    message = SMB2CreateRequest()
    message["impersonation_level"] = ImpersonationLevel.Impersonation
    message["desired_access"] = access
    message["share_access"] = _SHARING
    message["create_disposition"] = CreateDisposition.FILE_OPEN
    message["create_options"] = options | CreateOptions.FILE_OPEN_FOR_BACKUP_INTENT
    message["buffer_path"] = path.replace("/", "\\").encode("utf-16-le", "surrogatepass") or b"\x00\x00"
    return message


def _query_info(kind: int, information: int, handle: bytes) -> Any:
    message = SMB2QueryInfoRequest()
    message["info_type"] = kind
    message["file_info_class"] = information
    message["output_buffer_length"] = DESCRIPTOR_BYTES
    message["additional_information"] = _OWNER_AND_DACL if kind == _INFO_SECURITY else 0
    message["file_id"] = handle
    return message


def _close(handle: bytes) -> Any:
    message = SMB2CloseRequest()
    message["file_id"] = handle
    return message
