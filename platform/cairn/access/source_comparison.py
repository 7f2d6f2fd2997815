"""Comparison of who can read documents here with who may read them according to their source."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from cairn.access.models import SourceSubject, SubjectKind, SyncedAccess
from cairn.access.source_access import EVERYONE, AccessLevel, SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_audience import match_allowed
from cairn.access.source_people import find_memberships
from cairn.access.source_services import load_levels
from cairn.accounts.models import User

Listed = Sequence[SourcePerson | SourceGroup]
Subjects = frozenset[str] | None
"""The ids of a person and of their groups in the source, None for accounts that the source doesn't know."""
_NOBODY: Final = SourceAccess()


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """Accounts that can read a document although the source doesn't allow it, or can't although it does.

    `level` of `levels` is the first one that refuses one of them, in the source for `too_much`, else here; 0
    if no level does.
    """

    document: UUID
    too_much: frozenset[UUID]
    too_little: frozenset[UUID]
    level: int = 0
    levels: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """`allowed`: the accounts that the source allows to read each document."""

    differences: tuple[AccessDifference, ...]
    allowed: Mapping[UUID, frozenset[UUID]]


def compare_source_access(
    source: UUID, accesses: Mapping[UUID, SourceAccess], people: Listed | None
) -> Comparison:
    """Compare what is enforced for documents with what the source has just said.

    `people`: everybody and all groups in the source now, None to go by those of the last sync.
    """
    stored = {
        row.document_id: row for row in SyncedAccess.objects.filter(document__in=accesses, source=source)
    }
    lists = load_levels({row.access_list_id for row in stored.values() if row.access_list_id})
    before = _stored_subjects(source)
    now, known = (before, _stored_names(source)) if people is None else _listed_subjects(source, people)
    accounts = frozenset(User.objects.active().values_list("pk", flat=True))
    differences: list[AccessDifference] = []
    allowed: dict[UUID, frozenset[UUID]] = {}
    for document, access in accesses.items():
        row = stored.get(document)
        enforced = _find_enforced(row) & accounts
        fresh = _deny_unclear(access, known)
        expected = frozenset(each for each in accounts if fresh.allows(now.get(each)))
        allowed[document] = expected & enforced if access.outdated else expected
        too_much, too_little = enforced - expected, allowed[document] - enforced
        if too_much:
            level, levels = _find_refusing(fresh, [now.get(each) for each in too_much])
        else:
            stored_access = SourceAccess(lists.get(row.access_list_id or 0, ()) if row else ())
            level, levels = _find_refusing(stored_access, [before.get(each) for each in too_little])
        if too_much or too_little:
            differences.append(AccessDifference(document, too_much, too_little, level, levels))
    return Comparison(tuple(differences), allowed)


def _find_enforced(row: SyncedAccess | None) -> frozenset[UUID]:
    if row is None or row.access_list is None:
        return frozenset()
    return frozenset(User.objects.filter(match_allowed(row)).values_list("pk", flat=True))


def _stored_subjects(source: UUID) -> dict[UUID, frozenset[str]]:
    rows = SourceSubject.objects.filter(source=source, user__isnull=False, absent=False)
    found: dict[UUID, set[str]] = {}
    for user, name in rows.values_list("user", "external_id"):
        found.setdefault(user, set()).add(name)
    groups = rows.filter(groups__isnull=False).values_list("user", "groups__external_id")
    for user, name in groups:
        found[user].add(name)
    return {user: frozenset(names) for user, names in found.items()}


def _stored_names(source: UUID) -> frozenset[str]:
    known = SourceSubject.objects.filter(source=source).exclude(kind=SubjectKind.UNKNOWN)
    return frozenset(known.values_list("external_id", flat=True))


def _listed_subjects(source: UUID, listed: Listed) -> tuple[dict[UUID, frozenset[str]], frozenset[str]]:
    """Return the subjects of each account by the memberships that are listed now, and all ids listed."""
    people = {each.id: each for each in listed if isinstance(each, SourcePerson)}
    groups = {each.id: each for each in listed if isinstance(each, SourceGroup)}
    members: dict[str, set[str]] = {}
    for group, person in find_memberships(people, groups):
        members.setdefault(person, set()).add(group)
    rows = SourceSubject.objects.filter(source=source, user__isnull=False, absent=False)
    found: dict[UUID, set[str]] = {}
    for user, name in rows.values_list("user", "external_id"):
        if name in people:
            found.setdefault(user, set()).update({name}, members.get(name, ()))
    return {user: frozenset(names) for user, names in found.items()}, frozenset({*people, *groups})


def _deny_unclear(access: SourceAccess, known: Set[str]) -> SourceAccess:
    """Let denials of subjects that the source doesn't list concern everyone, as they do when enforced."""
    return replace(access, levels=tuple(_deny_unclear_in(level, known) for level in access.levels))


def _deny_unclear_in(level: AccessLevel, known: Set[str]) -> AccessLevel:
    return tuple(
        replace(entry, subject=EVERYONE) if not entry.allow and entry.subject not in known else entry
        for entry in level
    )


def _find_refusing(access: SourceAccess, refused: Iterable[Subjects]) -> tuple[int, int]:
    """Return the number of the first level that refuses one of these, and that of all levels."""
    if access.unknown:
        return 0, 0
    each_refused: Collection[Subjects] = list(refused)
    for number, level in enumerate(access.levels, start=1):
        if any(not replace(_NOBODY, levels=(level,)).allows(subjects) for subjects in each_refused):
            return number, len(access.levels)
    return 0, len(access.levels)
