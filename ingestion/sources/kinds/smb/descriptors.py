"""Security descriptors of Windows, as far as they decide who may read (MS-DTYP 2.4)."""

import struct
from collections.abc import Iterator
from typing import Final

from cairn.access.source_access import AccessEntry, AccessLevel

EVERYONE_SID: Final = "S-1-1-0"
OWNER_RIGHTS_SID: Final = "S-1-3-4"
FILE_READ_DATA: Final = 0x00000001
GENERIC_READ: Final = 0x80000000
GENERIC_ALL: Final = 0x10000000
_READING: Final = FILE_READ_DATA | GENERIC_READ | GENERIC_ALL

_DACL_PRESENT: Final = 0x0004
_INHERIT_ONLY: Final = 0x08
_HEADER: Final = struct.Struct("<BBHIIII")
_ACL: Final = struct.Struct("<BBHHH")
_ACE: Final = struct.Struct("<BBHI")
_ALLOWING: Final = frozenset((0x00, 0x05))
_DENYING: Final = frozenset((0x01, 0x06, 0x0A, 0x0C))
"""A denying entry with a condition counts as if it were true; an allowing one (9, 11) doesn’t count."""
_WITH_OBJECT: Final = frozenset((0x05, 0x06, 0x0C))
_GUID_SIZE: Final = 16


def read_level(descriptor: bytes) -> AccessLevel:
    """Return who may read the data of a file, in the order of its access list. A missing list allows
    everyone; an empty one, nobody. Raises ValueError for bytes that aren't a descriptor."""
    try:
        return _shorten(_read_entries(descriptor))
    except struct.error as error:
        raise ValueError("The security descriptor is incomplete.") from error


def read_sid(data: bytes, offset: int = 0) -> str:
    """Return the security identifier at this offset as text, such as "S-1-5-32-544"."""
    revision, count = struct.unpack_from("<BB", data, offset)
    if revision != 1 or count > 15:  # MS-DTYP 2.4.2.2
        raise ValueError("A security identifier is invalid.")
    authority = int.from_bytes(data[offset + 2 : offset + 8], "big")
    parts = struct.unpack_from(f"<{count}I", data, offset + 8)
    return "-".join(map(str, ("S-1", authority, *parts)))


def write_sid(sid: str) -> bytes:
    """Return the binary form of a security identifier."""
    _, revision, authority, *parts = sid.split("-")
    head = struct.pack("<BB", int(revision), len(parts)) + int(authority).to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *map(int, parts))


def _read_entries(descriptor: bytes) -> Iterator[AccessEntry]:
    _, _, control, owner, _, _, acl = _HEADER.unpack_from(descriptor)
    if not control & _DACL_PRESENT or not acl:
        yield AccessEntry(EVERYONE_SID)
        return
    _, _, _, count, _ = _ACL.unpack_from(descriptor, acl)
    owner_sid = read_sid(descriptor, owner) if owner else ""
    offset = acl + _ACL.size
    for _ in range(count):
        kind, flags, size, mask = _ACE.unpack_from(descriptor, offset)
        if size < _ACE.size:
            raise ValueError("An access control entry is too short.")
        if kind in _ALLOWING | _DENYING and mask & _READING and not flags & _INHERIT_ONLY:
            sid = read_sid(descriptor, _find_sid(descriptor, offset, kind))
            yield AccessEntry(owner_sid if sid == OWNER_RIGHTS_SID else sid, allow=kind in _ALLOWING)
        offset += size


def _find_sid(descriptor: bytes, offset: int, kind: int) -> int:
    after_mask = offset + _ACE.size
    if kind not in _WITH_OBJECT:
        return after_mask
    [present] = struct.unpack_from("<I", descriptor, after_mask)
    return int(after_mask + 4 + _GUID_SIZE * (present & 3).bit_count())


def _shorten(entries: Iterator[AccessEntry]) -> AccessLevel:
    """Leave out what can't decide: a subject's further entries, and those after an entry for everyone."""
    first: dict[str, AccessEntry] = {}
    for entry in entries:
        first.setdefault(entry.subject, entry)
        if entry.subject == EVERYONE_SID:
            break
    return tuple(first.values())
