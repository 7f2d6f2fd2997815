"""Access lists of mailboxes (RFC 4314), translated to entries in the order in which they decide.

An identifier is a user, “anyone”, “authenticated”, “owner”, or a group, which Dovecot writes as $group and
others as group:name. A “-” before it revokes rights. Servers combine them in two ways: with Dovecot, the
most specific kind of identifier decides what is given, and also what is taken away; others add up everything.
With both, what is taken away isn't given.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceAccess
from cairn.messages import CodedMessage

READ: Final = "r"
AUTHENTICATED: Final = "authenticated"
"""Subject of everyone with an account, and name of this group in the options."""


class Specificity(IntEnum):
    """Kinds of identifiers: with Dovecot, the most specific one that is given rights decides."""

    OVERRIDE = 0
    USER = 1
    OWNER = 2
    GROUP = 3
    AUTHENTICATED = 4
    ANYONE = 5


@dataclass(frozen=True, slots=True)
class MailboxRight:
    """What an identifier of an access list may do. `gives` is false for one with a “-”."""

    specificity: Specificity
    name: str
    rights: str
    gives: bool = True

    @property
    def reads(self) -> bool:
        """Whether it is about reading."""
        return READ in self.rights


def person_id(name: str) -> str:
    """Return the id of a person in the source."""
    return f"person:{name}"


def group_id(name: str) -> str:
    """Return the id of a group in the source."""
    return f"group:{name}"


def parse_right(identifier: str, rights: str, *, is_dovecot: bool) -> MailboxRight | None:
    """Parse an entry of an access list. None if it can't be understood."""
    gives = not identifier.startswith("-")
    name = identifier.removeprefix("-")
    special = {
        "anyone": Specificity.ANYONE,
        "authenticated": Specificity.AUTHENTICATED,
        "owner": Specificity.OWNER,
    }
    if name in special:
        return MailboxRight(special[name], name, rights, gives)
    prefixes = (
        {"!$": Specificity.OVERRIDE, "$": Specificity.GROUP} if is_dovecot else {"group:": Specificity.GROUP}
    )
    for prefix, specificity in prefixes.items():
        if name.startswith(prefix):
            return MailboxRight(specificity, name.removeprefix(prefix), rights, gives)
    if not name or name.startswith(("#", "$", "!", "@", "&", "+")):
        return None
    return MailboxRight(Specificity.USER, name, rights, gives)


def build_access(
    rights: Iterable[MailboxRight | None], *, owner: str, groups: Collection[str], is_dovecot: bool
) -> SourceAccess:
    """Return who may read a mailbox. `groups` are those whose members are known.

    The access is unknown if an entry can't be understood, or would deny access to people whom Cairn can't
    identify: an entry that revokes a right must not be skipped because its subject is unknown.
    """
    parsed = [_resolve_owner(right, owner) for right in rights]
    if not all(parsed):
        return SourceAccess(unknown=CodedMessage("source_right_unknown"))
    known = [right for right in parsed if right and right.name]
    everyone = AUTHENTICATED if AUTHENTICATED in groups else EVERYONE
    given = _build_level([right for right in known if right.gives], everyone, is_dovecot=is_dovecot)
    taken = _build_level(_drop_exemptions(known), everyone, is_dovecot=is_dovecot)
    levels = (given, (*taken, AccessEntry(EVERYONE))) if taken else (given,)
    if name := _find_unknown(levels, known, groups):
        return SourceAccess(unknown=CodedMessage("source_group_unknown", name=name))
    return SourceAccess(levels=levels)


def _build_level(rights: list[MailboxRight], everyone: str, *, is_dovecot: bool) -> AccessLevel:
    """Return what is granted to identifiers or revoked from them, the most specific ones first. With Dovecot,
    entries that don't mention reading decide, too."""
    entries: list[AccessEntry] = []
    for specificity in Specificity:
        same = [right for right in rights if right.specificity == specificity]
        entries += [AccessEntry(_subject(right, everyone), right.gives) for right in same if right.reads]
        if is_dovecot:
            others = [right for right in same if not right.reads]
            entries += [AccessEntry(_subject(right, everyone), not right.gives) for right in others]
    return tuple(entries)


def _drop_exemptions(rights: list[MailboxRight]) -> list[MailboxRight]:
    """Return the revocations. If some groups are granted rights, Dovecot's revocations for other groups
    replace those of less specific identifiers, or add to them, depending on the order of names."""
    giving = {right.specificity for right in rights if right.gives and _is_group(right)}
    taken = [right for right in rights if not right.gives]
    return [right for right in taken if right.reads or right.specificity not in giving]


def _find_unknown(
    levels: Collection[AccessLevel], rights: Iterable[MailboxRight], groups: Collection[str]
) -> str:
    """Return a group whose members have to be known, because the levels refuse them; "" if there is none."""
    refused = {entry.subject for level in levels for entry in level if not entry.allow}
    for right in rights:
        if _is_group(right) and right.name not in groups and group_id(right.name) in refused:
            return right.name
    is_open = any(entry.allow and entry.subject == EVERYONE for entry in next(iter(levels)))
    return AUTHENTICATED if is_open and refused - {EVERYONE} else ""


def _subject(right: MailboxRight, everyone: str) -> str:
    match right.specificity:
        case Specificity.ANYONE | Specificity.AUTHENTICATED:
            return everyone
        case Specificity.GROUP | Specificity.OVERRIDE:
            return group_id(right.name)
    return person_id(right.name)


def _resolve_owner(right: MailboxRight | None, owner: str) -> MailboxRight | None:
    """Name the owner of the mailbox. Public mailboxes have none, so the entry applies to nobody."""
    if right and right.specificity == Specificity.OWNER:
        return MailboxRight(Specificity.OWNER, owner, right.rights, right.gives)
    return right


def _is_group(right: MailboxRight) -> bool:
    return right.specificity in {Specificity.GROUP, Specificity.OVERRIDE}
