"""Content of an item as a file that arrives in pieces or as a text, and ids and versions that fit their
columns."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class Contribution:
    """A comment in Markdown."""

    author: str
    written: datetime
    text: str


def write_discussion(
    title: str, kind: str, facts: Mapping[str, str], text: str, comments: Iterable[Contribution]
) -> str:
    """Return a document in Markdown: a line of facts, of which empty ones are left out, a text, and comments.

    `kind` is what is discussed, such as "Issue #12".
    """
    named = [f"{label}: {value}" for label, value in facts.items() if value]
    parts = [f"# {_join_lines(title)}", _join_lines(", ".join([kind, *named])), _clean(text)]
    for comment in comments:
        if _clean(comment.text):
            parts.append(f"## {_join_lines(comment.author)}, {comment.written:%Y-%m-%d}")
            parts.append(_clean(comment.text))
    return "\n\n".join(filter(None, parts)) + "\n"


def _join_lines(text: str) -> str:
    return " ".join(text.split())


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def shorten_id(text: str, limit: int = MAX_ID_LENGTH) -> str:
    """Return the text, or its start with a digest of all of it if it is longer than the limit."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: limit - len(digest) - 1]}#{digest}"
