"""Remote procedure calls to the file server: permissions of the share (MS-SRVS), local groups (MS-SAMR)."""

import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from smbprotocol.session import Session

from cairn.access.source_access import SourceGroup
from ingestion.sources.kinds.smb.client import READ_DATA, ItemFailure, ShareClient
from ingestion.sources.kinds.smb.descriptors import read_sid, write_sid
from ingestion.sources.kinds.smb.ndr import NdrReader, NdrWriter
from ingestion.sources.kinds.smb.options import SmbOptions
from ingestion.sources.kinds.smb.session import PIPES, open_share
from ingestion.sources.protocol import SourceRefused

BUILTIN_SID: Final = "S-1-5-32"
_WRITE_DATA: Final = 0x00000002
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_FRAGMENT_BYTES: Final = 4280
_FRAGMENT: Final = struct.Struct("<BBBB4sHHI")
_FIRST_AND_LAST, _LAST = 3, 2
_REQUEST, _RESPONSE, _BIND, _BIND_ACK = 0, 2, 11, 12
_NDR: Final = UUID("8a885d04-1ceb-11c9-9fe8-08002b104860").bytes_le + struct.pack("<HH", 2, 0)
_SRVSVC: Final = UUID("4b324fc8-1670-01d3-1278-5a47bf6ee188").bytes_le + struct.pack("<HH", 3, 0)
_SAMR: Final = UUID("12345778-1234-abcd-ef00-0123456789ac").bytes_le + struct.pack("<HH", 1, 0)
_SHARE_GET_INFO: Final = 16
_LEVEL_WITH_DESCRIPTOR: Final = 502
_CLOSE_HANDLE, _LOOKUP_DOMAIN, _ENUMERATE_DOMAINS, _OPEN_DOMAIN = 1, 5, 6, 7
_ENUMERATE_ALIASES, _OPEN_ALIAS, _ALIAS_MEMBERS, _CONNECT = 15, 27, 33, 57
_CONNECT_AND_LOOK_UP, _LIST_AND_LOOK_UP, _READ_MEMBERS = 0x30, 0x304, 0x4
_HANDLE_BYTES: Final = 20
_MORE_ENTRIES: Final = 0x105


class CallFailure(Exception):
    """The server refuses a call, with the status of its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:08X}")
        self.status = status


def read_share_descriptor(session: Session, options: SmbOptions) -> bytes | None:
    """Return the security descriptor of the share, None if the account may not read it."""
    arguments = NdrWriter()
    arguments.write_text_pointer(options.server)
    arguments.write_text(options.share)
    arguments.write_number(_LEVEL_WITH_DESCRIPTOR)
    try:
        with _open_pipe(session, options, "srvsvc", _SRVSVC) as pipe:
            return _read_descriptor(NdrReader(pipe.call(_SHARE_GET_INFO, arguments))) or None
    except (CallFailure, ItemFailure, SourceRefused, struct.error):
        return None


def list_local_groups(
    session: Session, options: SmbOptions, *, known_domain: str
) -> Generator[SourceGroup, None, None]:
    """Yield the groups of the file server itself, such as its administrators, unless it is a controller of
    the known domain. Raises CallFailure if the account may not read them."""
    try:
        with _open_pipe(session, options, "samr", _SAMR) as pipe:
            yield from _LocalGroups(pipe, options.server).list(known_domain)
    except (ItemFailure, SourceRefused, struct.error) as error:
        raise CallFailure(getattr(error, "status", 0)) from error


class _LocalGroups:
    def __init__(self, pipe: "_Pipe", server: str) -> None:
        arguments = NdrWriter()
        arguments.write_text_pointer(rf"\\{server}")
        arguments.write_number(_CONNECT_AND_LOOK_UP)
        self._pipe = pipe
        self._server = pipe.call_for_handle(_CONNECT, arguments)

    def list(self, known_domain: str) -> Iterator[SourceGroup]:
        domains = (
            self._look_up(name) for name in self._list_names(_ENUMERATE_DOMAINS, self._server).values()
        )
        for sid in {BUILTIN_SID, *domains} - {known_domain}:
            yield from self._list_groups(sid)

    def _list_groups(self, domain_sid: str) -> Iterator[SourceGroup]:
        arguments = NdrWriter()
        arguments.write_raw(self._server)
        arguments.write_number(_LIST_AND_LOOK_UP)
        arguments.write_sid(write_sid(domain_sid))
        domain = self._pipe.call_for_handle(_OPEN_DOMAIN, arguments)
        for rid, name in self._list_names(_ENUMERATE_ALIASES, domain).items():
            yield SourceGroup(f"{domain_sid}-{rid}", name, self._list_members(domain, rid))

    def _list_members(self, domain: bytes, rid: int) -> tuple[str, ...]:
        arguments = NdrWriter()
        arguments.write_raw(domain)
        arguments.write_number(_READ_MEMBERS)
        arguments.write_number(rid)
        alias = NdrWriter()
        alias.write_raw(self._pipe.call_for_handle(_OPEN_ALIAS, arguments))
        answer = NdrReader(self._pipe.call(_ALIAS_MEMBERS, alias))
        count, pointer = answer.read_number(), answer.read_number()
        sids: tuple[str, ...] = ()
        if pointer:
            answer.read_raw(4 + 4 * count)
            sids = tuple(read_sid(answer.read_sid()) for _ in range(count))
        _check_status(answer)
        self._pipe.call(_CLOSE_HANDLE, alias)
        return sids

    def _list_names(self, operation: int, handle: bytes) -> dict[int, str]:
        """Return the names of domains, or of groups by the last part of their ids."""
        names: dict[int, str] = {}
        resume, status = 0, _MORE_ENTRIES
        while status == _MORE_ENTRIES:
            arguments = NdrWriter()
            arguments.write_raw(handle)
            arguments.write_number(resume)
            arguments.write_number(0xFFFF)
            answer = NdrReader(self._pipe.call(operation, arguments))
            resume = answer.read_number()
            names |= _read_names(answer)
            answer.read_number()
            status = answer.read_number()
        if status:
            raise CallFailure(status)
        return names

    def _look_up(self, name: str) -> str:
        arguments = NdrWriter()
        arguments.write_raw(self._server)
        arguments.write_counted_text(name)
        answer = NdrReader(self._pipe.call(_LOOKUP_DOMAIN, arguments))
        sid = read_sid(answer.read_sid()) if answer.read_number() else ""
        _check_status(answer)
        return sid


class _Pipe:
    """A named pipe of the server that is bound to one interface."""

    def __init__(self, client: ShareClient, handle: bytes) -> None:
        self._client, self._handle, self._calls = client, handle, 0

    def bind(self, interface: bytes) -> None:
        context = struct.pack("<HBx", 0, 1) + interface + _NDR
        sizes = struct.pack("<HHIB3x", _FRAGMENT_BYTES, _FRAGMENT_BYTES, 0, 1)
        self._exchange(_BIND, sizes + context, _BIND_ACK)

    def call(self, operation: int, arguments: NdrWriter) -> bytes:
        stub = arguments.to_bytes()
        return self._exchange(_REQUEST, struct.pack("<IHH", len(stub), 0, operation) + stub, _RESPONSE)

    def call_for_handle(self, operation: int, arguments: NdrWriter) -> bytes:
        answer = NdrReader(self.call(operation, arguments))
        handle = answer.read_raw(_HANDLE_BYTES)
        _check_status(answer)
        return handle

    def _exchange(self, kind: int, body: bytes, expected: int) -> bytes:
        self._calls += 1
        size = _FRAGMENT.size + len(body)
        head = _FRAGMENT.pack(5, 0, kind, _FIRST_AND_LAST, b"\x10\0\0\0", size, 0, self._calls)
        self._client.write_pipe(self._handle, head + body)
        answer, rest, is_last = b"", b"", False
        while not is_last:
            fragment, rest = self._read_fragment(rest)
            _, _, found, flags, _, _, _, _ = _FRAGMENT.unpack_from(fragment)
            if found != expected:
                [status] = struct.unpack_from("<I", fragment, 24)
                raise CallFailure(status)
            answer += fragment[24:]
            is_last = bool(flags & _LAST)
            if len(answer) > _MAX_ANSWER_BYTES:
                raise CallFailure(0)
        return answer

    def _read_fragment(self, data: bytes) -> tuple[bytes, bytes]:
        size = _FRAGMENT.size
        while len(data) < size:
            if not (piece := self._client.read_piece(self._handle, 0, _FRAGMENT_BYTES)):
                raise struct.error("The answer is incomplete.")
            data += piece
            if len(data) >= _FRAGMENT.size:
                size = max(_FRAGMENT.unpack_from(data)[5], 28)
        return data[:size], data[size:]


@contextmanager
def _open_pipe(session: Session, options: SmbOptions, name: str, interface: bytes) -> Iterator[_Pipe]:
    client = ShareClient(open_share(session, options, PIPES), options.server)
    with client.open_handle(name, READ_DATA | _WRITE_DATA, 0) as opened:
        pipe = _Pipe(client, opened.id)
        pipe.bind(interface)
        yield pipe


def _read_descriptor(answer: NdrReader) -> bytes:
    """Read the answer to NetrShareGetInfo (SHARE_INFO_502_I)."""
    answer.read_number()
    pointer = answer.read_number()
    if not pointer:
        _check_status(answer)
        raise CallFailure(0)
    name, _, remark, _, _, _, path, password, _, descriptor = (answer.read_number() for _ in range(10))
    for each in (name, remark, path, password):
        if each:
            answer.read_text()
    data = answer.read_raw(answer.read_number()) if descriptor else b""
    _check_status(answer)
    return data


def _read_names(answer: NdrReader) -> dict[int, str]:
    if not answer.read_number():
        return {}
    count = answer.read_number()
    if not answer.read_number():
        return {}
    answer.read_number()
    rows = [(answer.read_number(), answer.read_number(), answer.read_number()) for _ in range(count)]
    return {rid: answer.read_text() if pointer else "" for rid, _, pointer in rows}


def _check_status(answer: NdrReader) -> None:
    if status := answer.read_number():
        raise CallFailure(status)
