"""Content of an item as a file that arrives in pieces, and ids and versions that fit their columns."""

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any, Final

from ingestion.sources.protocol import MAX_ID_LENGTH

MAX_VERSION_LENGTH: Final = 200


class ItemStream(io.RawIOBase):
    """A file that is read once, from start to end. `check` is called at the end of the content, and raises if
    the content isn't that of the requested item, for example because it changed meanwhile."""

    def __init__(self, pieces: Iterator[bytes], check: Callable[[], None]) -> None:
        self._pieces, self._check = pieces, check
        self._rest = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest and not self._ended:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
                self._check()
            else:
                self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def shorten_id(text: str, limit: int = MAX_ID_LENGTH) -> str:
    """Return the text, or its start with a digest of all of it if it is longer than the limit."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: limit - len(digest) - 1]}#{digest}"
