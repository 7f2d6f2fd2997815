"""People of a source and the accounts that they are linked to, for admins."""

from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_noop

from cairn.access.models import SourceSubject, SubjectKind
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.access.source_services import link_source_person
from cairn.accounts.models import User
from cairn.errors import InvalidInput, NotFound
from ingestion.models import Source


class PeopleFilter(StrEnum):
    """People without an account here, people with one, groups, and ids that only permissions name."""

    UNLINKED = "unlinked"
    LINKED = "linked"
    GROUPS = "groups"
    UNKNOWN = "unknown"


_CONDITIONS = {
    PeopleFilter.UNLINKED: Q(kind=SubjectKind.PERSON, user=None),
    PeopleFilter.LINKED: Q(kind=SubjectKind.PERSON, user__isnull=False),
    PeopleFilter.GROUPS: Q(kind=SubjectKind.GROUP),
    PeopleFilter.UNKNOWN: Q(kind=SubjectKind.UNKNOWN),
}


@dataclass(frozen=True, slots=True)
class PeopleTotals:
    unlinked: int
    linked: int
    groups: int
    unknown: int

    @property
    def all(self) -> int:
        return self.unlinked + self.linked + self.groups + self.unknown


def people_of(
    source: Source, *, only: PeopleFilter | None = None, containing: str = ""
) -> "QuerySet[SourceSubject]":
    rows = SourceSubject.objects.filter(source=source.pk).select_related("user")
    rows = rows.filter(_CONDITIONS[only]) if only else rows
    matches = (
        Q(name__icontains=containing) | Q(email__icontains=containing) | Q(external_id__icontains=containing)
    )
    return rows.filter(matches) if containing else rows


def count_people(source: Source) -> PeopleTotals:
    counts = {name.value: Count("pk", filter=condition) for name, condition in _CONDITIONS.items()}
    return PeopleTotals(**SourceSubject.objects.filter(source=source.pk).aggregate(**counts))


def link_person(
    source: Source, person_id: str, user_id: str | None, *, principal: Principal
) -> SourceSubject:
    """Link a person to an active account by hand, or to nobody. Raises NotFound for others."""
    if not (person_id.isascii() and person_id.isdigit() and len(person_id) < 18):
        raise NotFound
    person = SourceSubject.objects.filter(source=source.pk, pk=int(person_id)).first()
    if person is None:
        raise NotFound
    link_source_person(person, _account(user_id) if user_id is not None else None, principal)
    person.refresh_from_db()
    return person


def _account(value: str) -> User:
    try:
        return get_or_not_found(User.objects.active(), value)
    except NotFound as error:
        raise InvalidInput(gettext_noop("There is no active account with this id.")) from error
