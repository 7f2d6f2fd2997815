"""Mailboxes and ids of messages: their addresses (RFC 5092), owners, and sets of numbers in a cursor."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from ingestion.sources.item_streams import shorten_id

_ADDRESS: Final = re.compile(r"imap://[^/]+/(?P<name>[^;]+);UIDVALIDITY=(?P<validity>\d+)/;UID=(?P<uid>\d+)")
SKIPPED_FLAGS: Final = frozenset(
    (b"\\noselect", b"\\nonexistent", b"\\trash", b"\\junk", b"\\drafts", b"\\all", b"\\flagged")
)
"""Mailboxes without messages, or whose messages weren't published or are also in other mailboxes."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`owner` is the name of the person whose mailbox it is; empty if it is public."""

    name: str
    delimiter: str
    owner: str

    @property
    def container(self) -> str:
        """The path of the mailbox, with slashes."""
        return self.name.replace(self.delimiter, "/") if self.delimiter else self.name


def message_uri(server: str, mailbox: str, validity: int, uid: int) -> str:
    """Return the address of a message."""
    return f"imap://{server}/{quote(mailbox, safe='/')};UIDVALIDITY={validity}/;UID={uid}"


def message_id(mailbox: str, validity: int, uid: int) -> str:
    """Return the id of a message."""
    return shorten_id(f"{validity}.{uid} {mailbox}")


def parse_uri(uri: str) -> tuple[str, int, int] | None:
    """Return mailbox, UIDVALIDITY and UID of the address of a message."""
    found = _ADDRESS.fullmatch(uri)
    return (unquote(found["name"]), int(found["validity"]), int(found["uid"])) if found else None


def find_owner(name: str, own: str, namespaces: Mapping[str, tuple[tuple[str, str], ...]]) -> str:
    """Return whose mailbox it is: “own” is the signed-in account; empty for a shared one."""
    for prefix, delimiter in namespaces["others"]:
        if prefix and name.startswith(prefix):
            return (
                name.removeprefix(prefix).partition(delimiter)[0] if delimiter else name.removeprefix(prefix)
            )
    return "" if any(name.startswith(prefix) for prefix, _ in namespaces["shared"] if prefix) else own


def is_chosen(mailbox: Mailbox, chosen: Iterable[str]) -> bool:
    """Return whether a mailbox is one of these, or below one."""
    names = list(chosen)
    return not names or any(
        mailbox.name == name or (mailbox.delimiter and mailbox.name.startswith(name + mailbox.delimiter))
        for name in names
    )


def pack(numbers: Iterable[int]) -> str:
    """Write numbers as an IMAP set, such as “1:5,8”."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def unpack(text: str) -> set[int]:
    """Read what `pack` has written."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found


Seen = dict[str, tuple[int, str]]
"""UIDVALIDITY and packed UIDs of the messages that were listed, by mailbox."""


def read_cursor(cursor: str) -> Seen:
    """Read a cursor; "" has seen nothing."""
    return {name: (int(row[0]), str(row[1])) for name, row in json.loads(cursor or "{}").items()}


def write_cursor(seen: Seen) -> str:
    """Write a cursor."""
    return json.dumps(seen, ensure_ascii=False, separators=(",", ":"))
