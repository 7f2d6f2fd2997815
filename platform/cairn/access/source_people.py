"""People and groups of a source, and the accounts that they are linked to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from cairn.access.models import SourceSubject, SubjectKind, SubjectLink
from cairn.access.source_access import SourceGroup, SourcePerson
from cairn.accounts.models import Identity, User

BATCH_SIZE: Final = 500
_FIELDS = ("kind", "name", "email", "directory", "directory_id", "user", "link", "absent")

T = TypeVar("T")


def in_batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items in parts that one query can name."""
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]


@dataclass(frozen=True, slots=True)
class PeopleCounts:
    """Counts of people and groups in a source. `linked`: people with an account."""

    people: int
    groups: int
    linked: int


def replace_source_people(
    source: UUID, found: Iterable[SourcePerson | SourceGroup], *, directory: str, match_email: bool
) -> PeopleCounts:
    """Store all people and groups of a source, who is in which group, and which accounts people have.

    People are linked by their id in the `directory`, else, with `match_email`, by an address that exactly one
    of them and one active account have. Manual links stay, but are effective only while the person is listed.
    People who are no longer listed leave all groups. A group that is gone becomes unknown.
    """
    people: dict[str, SourcePerson] = {}
    groups: dict[str, SourceGroup] = {}
    for each in found:
        if isinstance(each, SourcePerson):
            people[each.id] = each
        else:
            groups[each.id] = each
    with transaction.atomic():
        subjects = _save_subjects(source, people, groups, _Accounts.load(people, directory, match_email))
        _save_memberships(source, subjects, people, groups)
        gone = [row for name, row in subjects.items() if name not in people and name not in groups]
        _delete_unnamed([row.pk for row in gone if not _is_by_hand(row)])
    linked = sum(subjects[name].user_id is not None for name in people)
    return PeopleCounts(people=len(people), groups=len(groups), linked=linked)


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Accounts of people: by id in the directory, and by address in lower case."""

    directory: str
    by_identity: Mapping[str, UUID] = field(default_factory=dict)
    by_email: Mapping[str, UUID] = field(default_factory=dict)

    @classmethod
    def load(cls, people: Mapping[str, SourcePerson], directory: str, match_email: bool) -> "_Accounts":
        identities = Identity.objects.filter(source=directory) if directory else Identity.objects.none()
        by_identity = dict(identities.values_list("external_id", "user"))
        return cls(directory, by_identity, _by_email(people) if match_email else {})

    def of(self, person: SourcePerson) -> tuple[UUID | None, SubjectLink]:
        if person.directory_id and (user := self.by_identity.get(person.directory_id)):
            return user, SubjectLink.DIRECTORY
        if user := self.by_email.get(person.email.lower()):
            return user, SubjectLink.EMAIL
        return None, SubjectLink.NONE


def _by_email(people: Mapping[str, SourcePerson]) -> dict[str, UUID]:
    """Return the accounts by those addresses that one person and one active account have."""
    counts = Counter(person.email.lower() for person in people.values() if person.email)
    rows = User.objects.active().exclude(email="").order_by()
    accounts: dict[str, list[UUID]] = {}
    for user, email in rows.values_list("pk", Lower("email")):
        accounts.setdefault(email, []).append(user)
    return {email: users[0] for email, users in accounts.items() if len(users) == 1 and counts[email] == 1}


def _save_subjects(
    source: UUID, people: Mapping[str, SourcePerson], groups: Mapping[str, SourceGroup], accounts: _Accounts
) -> dict[str, SourceSubject]:
    """Store people and groups, and return all subjects of the source by their ids there."""
    rows = SourceSubject.objects.filter(source=source).order_by("pk").select_for_update()
    subjects = {row.external_id: row for row in rows}
    before = {name: _state(row) for name, row in subjects.items()}
    for name in people.keys() | groups.keys():
        subjects.setdefault(name, SourceSubject(source=source, external_id=name))
    for name, row in subjects.items():
        if name in groups:
            _describe_group(row, groups[name])
        elif name in people:
            _describe_person(row, people[name], accounts)
        else:
            _forget(row)
    SourceSubject.objects.bulk_create(
        [row for name, row in subjects.items() if name not in before], batch_size=BATCH_SIZE
    )
    changed = [row for name, row in subjects.items() if name in before and _state(row) != before[name]]
    SourceSubject.objects.bulk_update(changed, _FIELDS, batch_size=BATCH_SIZE)
    return subjects


def _state(row: SourceSubject) -> tuple[object, ...]:
    return row.kind, row.name, row.email, row.directory, row.directory_id, row.user_id, row.link, row.absent


def _is_by_hand(row: SourceSubject) -> bool:
    return row.link == SubjectLink.NOBODY or (row.link == SubjectLink.MANUAL and row.user_id is not None)


def _describe_group(row: SourceSubject, group: SourceGroup) -> None:
    row.kind, row.name, row.absent = SubjectKind.GROUP, group.name[:500], False
    row.email = row.directory = row.directory_id = ""
    row.user_id, row.link = None, SubjectLink.NONE


def _describe_person(row: SourceSubject, person: SourcePerson, accounts: _Accounts) -> None:
    row.kind, row.name, row.email = SubjectKind.PERSON, person.name[:500], person.email[:320]
    row.directory, row.directory_id = accounts.directory, person.directory_id[:255]
    row.absent = False
    if not _is_by_hand(row):
        row.user_id, row.link = accounts.of(person)


def _forget(row: SourceSubject) -> None:
    """Remove what is known about a subject that is no longer listed; entries may still name it.

    A denial for a group that is gone may concern anyone, since its members are unknown.
    """
    if row.kind == SubjectKind.GROUP:
        row.kind = SubjectKind.UNKNOWN
    row.absent = row.kind == SubjectKind.PERSON
    row.name = row.email = row.directory = row.directory_id = ""
    if not _is_by_hand(row):
        row.user_id, row.link = None, SubjectLink.NONE


def _delete_unnamed(gone: Sequence[int]) -> None:
    """Delete those that no entry names."""
    for some in in_batches(gone):
        SourceSubject.objects.filter(pk__in=some, entries=None).delete()


def _save_memberships(
    source: UUID,
    subjects: Mapping[str, SourceSubject],
    people: Mapping[str, SourcePerson],
    groups: Mapping[str, SourceGroup],
) -> None:
    through = SourceSubject.people.through
    found = {(subjects[group].pk, subjects[person].pk) for group, person in find_memberships(people, groups)}
    rows = through.objects.filter(from_sourcesubject__source=source)
    before = {
        (group, person): pk
        for pk, group, person in rows.values_list("pk", "from_sourcesubject", "to_sourcesubject")
    }
    for gone in in_batches([pk for pair, pk in before.items() if pair not in found]):
        through.objects.filter(pk__in=gone).delete()
    through.objects.bulk_create(
        [
            through(from_sourcesubject_id=group, to_sourcesubject_id=person)
            for group, person in sorted(found - before.keys())
        ],
        batch_size=BATCH_SIZE,
    )


def find_memberships(
    people: Mapping[str, SourcePerson], groups: Mapping[str, SourceGroup]
) -> Iterator[tuple[str, str]]:
    """Yield each group with each person in it, directly or through other groups."""
    parents: dict[str, set[str]] = {}
    for group in groups.values():
        for member in group.members:
            parents.setdefault(member, set()).add(group.id)
    ancestors = {name: _find_ancestor_groups(name, parents) for name in groups}
    for person in people.keys() - groups.keys():
        direct = parents.get(person, set())
        for name in direct.union(*(ancestors[each] for each in direct)):
            yield name, person


def _find_ancestor_groups(name: str, parents: Mapping[str, Set[str]]) -> set[str]:
    """Return the groups that contain a group, directly or through other groups. Groups may form cycles."""
    found: set[str] = set()
    following = set(parents.get(name, ()))
    while following:
        found |= following
        following = {each for group in following for each in parents.get(group, ())} - found
    return found


def erase_source_people(user: User) -> None:
    """Remove personal data of the people of sources that are linked to an account being erased."""
    SourceSubject.objects.filter(user=user).update(
        user=None, link=SubjectLink.NONE, name="", email="", directory_id=""
    )


def link_identity(identity: Identity) -> None:
    """Link people of sources who have this identity to its account, unless they were linked by hand."""
    by_hand = Q(link=SubjectLink.NOBODY) | Q(link=SubjectLink.MANUAL, user__isnull=False)
    _people_with(identity).exclude(by_hand).update(user=identity.user_id, link=SubjectLink.DIRECTORY)


def unlink_identity(identity: Identity) -> None:
    """Unlink the people of sources who were linked by this identity."""
    linked = _people_with(identity).filter(link=SubjectLink.DIRECTORY)
    linked.update(user=None, link=SubjectLink.NONE)


def _people_with(identity: Identity) -> "QuerySet[SourceSubject]":
    return SourceSubject.objects.filter(
        kind=SubjectKind.PERSON, directory=identity.source, directory_id=identity.external_id
    ).exclude(directory_id="")
