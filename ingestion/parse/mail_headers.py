"""Whether a text begins as a mail does."""

import re
from collections.abc import Iterator
from typing import Final

_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60}):")
_TELLING: Final = frozenset(
    ("from", "received", "return-path", "message-id", "mime-version", "subject", "delivered-to", "sender")
)
_PLAIN: Final = 3


def are_in(sample: str) -> bool:
    """For a file that is called a mail."""
    return bool(_TELLING.intersection(_names(sample)))


def are_plain_in(sample: str) -> bool:
    """For a file whose name says nothing: a memo may have a subject, but no message id."""
    found = _TELLING.intersection(_names(sample))
    return "from" in found and len(found) >= _PLAIN


def _names(sample: str) -> Iterator[str]:
    """Of the headers, in lower case, up to the first empty line."""
    for line in sample.lstrip().split("\n"):
        if not line.strip():
            return
        if found := _HEADER.match(line):
            yield found.group(1).lower()
