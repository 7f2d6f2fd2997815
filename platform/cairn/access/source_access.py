"""Access to documents of a source, as the source describes it: levels, entries, people and groups.

A source is an external system, such as a file share. Its people and groups are identified by their ids there,
never by name.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

EVERYONE: Final = "*"
"""Subject of an entry for everyone who may use the knowledge base."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """Allow or deny reading to a person or group, named by the id in the source, or to EVERYONE."""

    subject: str
    allow: bool = True


AccessLevel = tuple[AccessEntry, ...]
"""Entries in order: the first one that applies to a person decides. If none does, the person may not read."""


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """Who may read an item: people allowed by every level, such as the share, each folder, and the file.

    `unknown` says why the access isn't fully known, as a message for managers. Only they may read such an
    item, whatever its levels. An item without levels is readable by nobody else either. `outdated`: the item
    has changed since its content was read, so only those who could read that before may read it still.
    """

    levels: tuple[AccessLevel, ...] = ()
    unknown: str = ""
    outdated: bool = False

    def allows(self, subjects: Collection[str] | None) -> bool:
        """Return whether a person with these ids, their own and those of their groups, may read the item.

        None means a person unknown to the source: any entry that denies may be about them.
        """
        if self.unknown or not self.levels:
            return False
        return all(_allows(level, subjects) for level in self.levels)


def _allows(level: AccessLevel, subjects: Collection[str] | None) -> bool:
    applying = (entry for entry in level if _applies_to(entry, subjects))
    return next((entry.allow for entry in applying), False)


def _applies_to(entry: AccessEntry, subjects: Collection[str] | None) -> bool:
    if entry.subject == EVERYONE:
        return True
    return not entry.allow if subjects is None else entry.subject in subjects


def simplify_levels(levels: Iterable[AccessLevel]) -> tuple[AccessLevel, ...]:
    """Leave out what decides nothing, so that equal permissions have equal levels.

    This drops repeated levels and those that allow everyone and, within a level, entries that an earlier one
    makes ineffective, and denials at the end. If all levels allow everyone, one remains.
    """
    found = tuple(dict.fromkeys(map(_simplify_level, levels)))
    return tuple(level for level in found if level != _ALLOWS_EVERYONE) or found


_ALLOWS_EVERYONE: Final[AccessLevel] = (AccessEntry(EVERYONE),)


def _simplify_level(level: AccessLevel) -> AccessLevel:
    seen: dict[str, AccessEntry] = {}
    for entry in level:
        seen.setdefault(entry.subject, entry)
        if entry.subject == EVERYONE:
            break
    entries = list(seen.values())
    while entries and not entries[-1].allow:
        entries.pop()
    return tuple(entries)


@dataclass(frozen=True, slots=True)
class SourcePerson:
    """A person in a source. `directory_id` is the person's id in the directory that both systems use for
    signing in. It links accounts; empty if there is none."""

    id: str
    name: str
    email: str = ""
    directory_id: str = ""


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """A group in a source. `members` are ids of people and of other groups, which may form cycles."""

    id: str
    name: str
    members: tuple[str, ...] = ()
