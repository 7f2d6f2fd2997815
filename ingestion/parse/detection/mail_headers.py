"""Detection of mail headers at the start of a text."""

import re
from collections.abc import Iterator
from typing import Final

_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60}):")
_DISTINCTIVE: Final = frozenset(
    ("from", "received", "return-path", "message-id", "mime-version", "subject", "delivered-to", "sender")
)
_PLAIN: Final = 3


def are_in(sample: str) -> bool:
    """Return whether a file with a mail extension has mail headers."""
    return bool(_DISTINCTIVE.intersection(_names(sample)))


def are_plain_in(sample: str) -> bool:
    """Return whether a text has enough headers of a mail; memos have subjects, but no message id."""
    found = _DISTINCTIVE.intersection(_names(sample))
    return "from" in found and len(found) >= _PLAIN


def _names(sample: str) -> Iterator[str]:
    """Yield lower-case header names up to the first empty line."""
    for line in sample.lstrip().split("\n"):
        if not line.strip():
            return
        if found := _HEADER.match(line):
            yield found.group(1).lower()
