"""OLE files, the containers of old Office files and Outlook mails, with empty streams."""

import struct

_SECTOR = 512
_ENTRY = 128
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_ROOT, _STREAM = 5, 2


def ole(*streams: str) -> bytes:
    entries = [_entry("Root Entry", _ROOT, child=1 if streams else _FREE)]
    for number, name in enumerate(streams, 1):
        entries.append(_entry(name, _STREAM, right=number + 1 if number < len(streams) else _FREE))
    directory = _filled(b"".join(entries), bytes(_ENTRY))
    sectors = len(directory) // _SECTOR
    chain = [_FAT, *range(2, sectors + 1), _END]
    table = struct.pack(f"<{len(chain)}I", *chain)
    return _header() + _filled(table, b"\xff") + directory


def _header() -> bytes:
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0)
    return head + struct.pack("<109I", 0, *[_FREE] * 108)


def _entry(name: str, kind: int, *, right: int = _FREE, child: int = _FREE) -> bytes:
    encoded = name.encode("utf-16-le") + bytes(2)
    start = struct.pack("<64sHBBIII", encoded, len(encoded), kind, 1, _FREE, right, child)
    return start + bytes(16 + 4 + 16) + struct.pack("<IQ", _END, 0)


def _filled(data: bytes, padding: bytes) -> bytes:
    while len(data) % _SECTOR or not data:
        data += padding
    return data
