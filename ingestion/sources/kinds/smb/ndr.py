"""Network Data Representation: how remote procedure calls write their arguments (C706, chapter 14)."""

import struct

_REFERENT = 0x20000


class NdrWriter:
    def __init__(self) -> None:
        self._data = bytearray()

    def to_bytes(self) -> bytes:
        return bytes(self._data)

    def write_raw(self, data: bytes) -> None:
        self._data += data

    def write_number(self, number: int) -> None:
        self._data += bytes(-len(self._data) % 4) + struct.pack("<I", number)

    def write_text(self, text: str) -> None:
        """Write a string that ends with a zero character."""
        characters = (text + "\0").encode("utf-16-le")
        count = len(characters) // 2
        for number in (count, 0, count):
            self.write_number(number)
        self._data += characters

    def write_text_pointer(self, text: str) -> None:
        self.write_number(_REFERENT)
        self.write_text(text)

    def write_counted_text(self, text: str) -> None:
        """Write an RPC_UNICODE_STRING."""
        characters = text.encode("utf-16-le")
        self.write_number(len(characters) | len(characters) << 16)
        for number in (_REFERENT, len(characters) // 2, 0, len(characters) // 2):
            self.write_number(number)
        self._data += characters

    def write_sid(self, sid: bytes) -> None:
        self.write_number(sid[1])
        self._data += sid


class NdrReader:
    """Raises struct.error at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data, self._offset = data, 0

    def read_number(self) -> int:
        self._offset += -self._offset % 4
        [number] = struct.unpack_from("<I", self._data, self._offset)
        self._offset += 4
        return int(number)

    def read_raw(self, size: int) -> bytes:
        data = self._data[self._offset : self._offset + size]
        if len(data) < size:
            raise struct.error("The answer is incomplete.")
        self._offset += size
        return data

    def read_text(self) -> str:
        self.read_number()
        self.read_number()
        return self.read_raw(2 * self.read_number()).decode("utf-16-le", "replace").rstrip("\0")

    def read_sid(self) -> bytes:
        return self.read_raw(8 + 4 * self.read_number())
