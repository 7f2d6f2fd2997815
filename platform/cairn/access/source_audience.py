"""People who may read a document whose source decides, and why; part of `cairn.access.audience`.

`cairn.access.source_rules` answers the opposite question, which documents one person may read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from cairn.access.models import AccessList, AccessListEntry, SourceSubject, SubjectKind, SyncedAccess
from cairn.access.services import EVERYONE
from cairn.accounts.models import User
from cairn.messages import CodedMessage

Level = Sequence[AccessListEntry]
_NOBODY: Final = Q(pk__in=())
_SHOWN_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class SourceDecision:
    """Decision of a source about a person: allowed by these `names`, or the reason for the `refusal`."""

    names: tuple[str, ...] = ()
    refusal: str = ""


def match_allowed(access: SyncedAccess) -> Q:
    """Match the users that the source allows to read the document."""
    levels = _levels(access.access_list) if access.access_list else []
    if not levels:
        return _NOBODY
    matched = ~_NOBODY
    for level in levels:
        matched &= _match_level(level, access.source)
    return matched


def _levels(access_list: AccessList) -> list[Level]:
    levels: list[list[AccessListEntry]] = [[] for _ in range(access_list.level_count)]
    for entry in access_list.entries.select_related("subject"):
        levels[entry.level].append(entry)
    return list(levels)


def _match_level(level: Level, source: UUID) -> Q:
    """Match users by the first entry that applies to them, starting from the last: later ones matter less."""
    matched = _NOBODY
    for allow, run in reversed(
        [(allow, list(run)) for allow, run in groupby(level, lambda each: each.allow)]
    ):
        matched = _match_named(run) | matched if allow else ~_match_denied(run, source) & matched
    return matched


def _match_named(entries: Level) -> Q:
    """Match users to whom one of the entries applies."""
    if any(entry.subject is None for entry in entries):
        return ~_NOBODY
    ids = [entry.subject_id for entry in entries]
    people = SourceSubject.objects.filter(Q(pk__in=ids) | Q(groups__in=ids), user__isnull=False, absent=False)
    return Q(pk__in=people.order_by().values("user"))


def _match_denied(entries: Level, source: UUID) -> Q:
    """Match users denied by one of the entries, as `source_rules.lists_allowing` describes."""
    if any(_is_unclear(entry) for entry in entries):
        return ~_NOBODY
    known = SourceSubject.objects.filter(source=source, user=OuterRef("pk"), absent=False)
    return _match_named(entries) | ~Q(Exists(known))


def _is_unclear(entry: AccessListEntry) -> bool:
    return entry.subject is not None and entry.subject.kind == SubjectKind.UNKNOWN


def explain_source_access(access: SyncedAccess, users: Collection[User]) -> Mapping[UUID, SourceDecision]:
    """Return what the source decides about each user, in three queries for any number of users."""
    if access.access_list is None:
        return dict.fromkeys([user.pk for user in users], SourceDecision(refusal=access.unknown))
    levels, known = _levels(access.access_list), _subjects_by_user(access.source, users)
    return {user.pk: _decide(levels, known.get(user.pk)) for user in users}


def _subjects_by_user(source: UUID, users: Iterable[User]) -> dict[UUID, set[int]]:
    """Return the subjects of each user: the people that are linked to the account, and all their groups."""
    rows = SourceSubject.objects.filter(source=source, user__in=users, absent=False).order_by()
    people = {pk: user for pk, user in rows.values_list("pk", "user") if user}
    found: dict[UUID, set[int]] = {user: set() for user in people.values()}
    for person, user in people.items():
        found[user].add(person)
    memberships = SourceSubject.people.through.objects.filter(to_sourcesubject__in=people)
    for group, person in memberships.values_list("from_sourcesubject", "to_sourcesubject"):
        found[people[person]].add(group)
    return found


def _decide(levels: Sequence[Level], subjects: Set[int] | None) -> SourceDecision:
    names: list[str] = []
    for level in levels:
        entry = next((each for each in level if _applies_to(each, subjects)), None)
        if entry is None or not entry.allow:
            return SourceDecision(refusal=_refusal(level, entry, subjects))
        names.append(entry.subject.label if entry.subject else EVERYONE)
    if not names:
        return SourceDecision(refusal=CodedMessage("source_allows_nobody"))
    return SourceDecision(names=tuple(dict.fromkeys(names)))


def _applies_to(entry: AccessListEntry, subjects: Set[int] | None) -> bool:
    if entry.subject_id is None or (subjects is not None and entry.subject_id in subjects):
        return True
    return not entry.allow and (subjects is None or _is_unclear(entry))


def _refusal(level: Level, entry: AccessListEntry | None, subjects: Set[int] | None) -> str:
    if entry is None:
        return _describe_allowed(level)
    if entry.subject is None:
        return CodedMessage("source_allows_nobody")
    name = entry.subject.label
    if subjects is not None and entry.subject_id in subjects:
        return CodedMessage("source_denies", name=name)
    return CodedMessage("source_may_deny", name=name)


def _describe_allowed(level: Level) -> str:
    names = list(dict.fromkeys(entry.subject.label for entry in level if entry.allow and entry.subject))
    if not names:
        return CodedMessage("source_allows_nobody")
    if len(names) <= _SHOWN_NAMES:
        return CodedMessage("source_allows_others", names=names)
    return CodedMessage("source_allows_many", name=names[0], count=len(names) - 1)
