"""POSIX permissions as levels of access: owner, named people, groups, everyone else."""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cairn.access.source_access import AccessEntry, AccessLevel

READ: Final = 4
SEARCH: Final = 1
ACCOUNTS: Final = "accounts"
"""Group of everyone who has an account on the server."""
_OCTAL: Final = re.compile(rb"\\([0-3][0-7]{2}|\\)")
_BITS: Final = {"r": 4, "w": 2, "x": 1, "-": 0}


@dataclass(frozen=True, slots=True)
class PosixAccess:
    """Permissions of a file or folder, as bits. `users` and `groups` are named by number in an access list,
    whose `mask` limits them and the owning group."""

    owner: int
    group: int
    of_owner: int
    of_group: int
    of_others: int
    users: Mapping[int, int] = field(default_factory=dict)
    groups: Mapping[int, int] = field(default_factory=dict)
    mask: int = 7


def access_of_mode(mode: int, owner: int, group: int) -> PosixAccess:
    bits = stat.S_IMODE(mode)
    return PosixAccess(owner, group, bits >> 6 & 7, bits >> 3 & 7, bits & 7)


def build_level(access: PosixAccess, needed: int) -> AccessLevel:
    """Return who has a permission, READ or SEARCH, in the order in which the system looks at the entries.

    The owner's entry decides alone, then that of a named person. Of the groups that a person is in, one that
    allows is enough.
    """
    users = {user: bits & access.mask for user, bits in access.users.items()}
    groups = [(access.group, access.of_group & access.mask)]
    groups += [(group, bits & access.mask) for group, bits in access.groups.items()]
    allowing = sorted(group for group, bits in groups if bits & needed)
    denying = sorted(group for group, bits in groups if not bits & needed)
    granted = (access.of_owner, access.of_others, *users.values(), *(bits for _group, bits in groups))
    if all(bits & needed for bits in granted):
        return (AccessEntry(ACCOUNTS),)
    return (
        AccessEntry(user_id(access.owner), allow=bool(access.of_owner & needed)),
        *(AccessEntry(user_id(user), allow=bool(bits & needed)) for user, bits in sorted(users.items())),
        *(AccessEntry(group_id(group)) for group in allowing),
        *(AccessEntry(group_id(group), allow=False) for group in denying),
        *([AccessEntry(ACCOUNTS)] if access.of_others & needed else []),
    )


def user_id(number: int) -> str:
    return f"uid:{number}"


def group_id(number: int) -> str:
    return f"gid:{number}"


def parse_getfacl(output: bytes) -> Iterator[tuple[bytes, PosixAccess]]:
    """Yield path and permissions of each file in the output of getfacl. Leave out what isn't clear."""
    for block in output.split(b"\n\n"):
        lines = block.splitlines()
        if not lines or not lines[0].startswith(b"# file: "):
            continue
        path = _OCTAL.sub(_unescape, lines[0].removeprefix(b"# file: "))
        try:
            access = _parse_block([line.decode("ascii") for line in lines[1:]])
        except (ValueError, KeyError):
            continue
        yield path, access


def _parse_block(lines: list[str]) -> PosixAccess:
    """Read the lines of one file. Raises ValueError or KeyError for unknown ones."""
    numbers, named, own = (
        dict[str, int](),
        {"user": dict[int, int](), "group": dict[int, int]()},
        dict[str, int](),
    )
    for line in filter(None, lines):
        if line.startswith("# "):
            name, _colon, value = line[2:].partition(": ")
            if name in {"owner", "group"}:
                numbers[name] = int(value)
            continue
        kind, who, bits = line.split(":")
        if kind == "default":
            continue
        if who:
            named[kind][int(who)] = _parse_bits(bits)
        else:
            own[kind] = _parse_bits(bits)
    return PosixAccess(
        numbers["owner"], numbers["group"], own["user"], own["group"], own["other"], named["user"],
        named["group"], own.get("mask", 7),
    )  # fmt: skip


def _parse_bits(text: str) -> int:
    if len(text) != 3:
        raise ValueError(text)
    return sum(_BITS[letter] for letter in text)


def _unescape(match: re.Match[bytes]) -> bytes:
    found = match[1]
    return found if found == b"\\" else bytes([int(found, 8)])
