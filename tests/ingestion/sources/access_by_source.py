"""Who may read what in Cairn by what a source says."""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping

import pytest
from django.utils import timezone

from cairn.access.models import Role, SourceSubject
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give
from cairn.access.source_access import SourceGroup, SourcePerson
from cairn.access.source_services import link_source_person, replace_source_people, set_source_access
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import Document
from ingestion.models import Source as SourceRow
from ingestion.models import SourceItem, SourceSchedule
from ingestion.sources.protocol import (
    Change,
    Complete,
    Gone,
    Item,
    Source,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)
from ingestion.sources.services import source_create
from ingestion.sources.sync.run import run_source_task
from tests.bases import make_base
from tests.ingestion.sources.canary import require_canary
from tests.principals import SETUP


def email_of(name: str) -> str:
    """Return the address of a person, whose name may have letters that addresses don't."""
    return f"{name.encode().hex()}@example.org" if name else "stranger@example.org"


def list_items(source: Source) -> list[Item]:
    """List everything, and check that the listing is complete."""
    changes = list(source.list_changes(""))
    assert isinstance(changes[-1], Complete)
    assert changes[-1].full
    assert not [change for change in changes if isinstance(change, Unlisted)]
    return [change for change in changes if isinstance(change, Item)]


def ids_of_people(source: Source) -> dict[str, set[str]]:
    """Return the ids of each person and of all their groups, by the person's id."""
    found = list(source.list_people())
    people = {one.id: {one.id} for one in found if isinstance(one, SourcePerson)}
    groups = [one for one in found if isinstance(one, SourceGroup)]
    changed = True
    while changed:
        changed = False
        for group in groups:
            for ids in people.values():
                if group.id not in ids and not ids.isdisjoint(group.members):
                    ids.add(group.id)
                    changed = True
    return people


def find_shown(source: Source) -> dict[str, set[str]]:
    """Return the items that each person may read, by the levels and groups that the source gives."""
    accesses = dict(source.list_access(list_items(source)))
    assert not {access.unknown for access in accesses.values() if access.unknown}
    return {
        person: {item for item, access in accesses.items() if access.allows(ids)}
        for person, ids in ids_of_people(source).items()
    }


def follow_changes(source: Source, known: set[str], cursor: str) -> tuple[Complete, set[str]]:
    """Return the last change, and the ids of items that are known after all changes."""
    changes = list(source.list_changes(cursor))
    last = changes[-1]
    assert isinstance(last, Complete)
    items = {each.id for each in changes if isinstance(each, Item)}
    gone = {each.id for each in changes if isinstance(each, Gone)}
    return last, items if last.full else (known | items) - gone


def require_broken_listing(source: Source) -> None:
    """Check that a listing which breaks off isn't complete, so that nothing is deleted."""
    changes, found = source.list_changes(""), list[Change]()
    with pytest.raises((SourceUnavailable, SourceRefused)):
        found.extend(changes)
    assert not any(isinstance(each, Complete) for each in found)


def read_item(source: Source, item: Item) -> bytes:
    with source.open(item) as content:
        return content.read()


class FollowingBase:
    """A knowledge base whose documents and permissions follow a source. Everyone may use it, and has an
    account in Cairn with the same email address as in the source; the account "" has none there."""

    def __init__(self) -> None:
        self._source = uuid.uuid4()
        self._manager = principal_for_user(user_create(username="manager", is_admin=True))
        self._base = make_base(name="Followed", principal=self._manager)
        grant_give(knowledge_base=self._base, subject="everyone", role=Role.READER, principal=SETUP)
        self._users: dict[str, User] = {}

    def add_people(self, names: Iterable[str]) -> None:
        for number, name in enumerate(names, len(self._users)):
            self._users[name] = user_create(username=f"person-{number}", email=email_of(name))

    def follow(self, source: Source) -> None:
        items = list_items(source)
        Document.objects.exclude(source_key__in=[item.id for item in items]).delete()
        documents = {
            item.id: Document.objects.get_or_create(
                knowledge_base=self._base,
                source_key=item.id,
                defaults={"title": item.name, "narrowed": True},
            )[0]
            for item in items
        }
        replace_source_people(self._source, source.list_people(), directory="", match_email=True)
        accesses = dict(source.list_access(items))
        assert set(accesses) == set(documents)
        assert not {access.unknown for access in accesses.values() if access.unknown}
        set_source_access(self._source, {documents[id_].pk: access for id_, access in accesses.items()})

    def sync(self, kind: str, options: Mapping[str, object]) -> None:
        """Follow a source as Cairn itself does, by its syncs of content, people and access."""
        row = SourceRow.objects.filter(knowledge_base=self._base).first() or source_create(
            knowledge_base=self._base,
            kind=kind,
            name="Source",
            options=options,
            principal=self._manager,
            match_email=True,
        )
        for task in ("content", "people", "access"):
            schedule = SourceSchedule.objects.get(source=row, task=task)
            SourceSchedule.objects.filter(pk=schedule.pk).update(requested_at=timezone.now(), not_before=None)
            assert run_source_task(schedule.pk)
            schedule.refresh_from_db()
            assert schedule.error == ""

    def list_synced(self, name: str) -> set[str]:
        """Return the ids of items that Cairn shows a person after syncs."""
        found = documents_for(principal_for_user(self._users[name]))
        return set(SourceItem.objects.filter(document__in=found).values_list("external_id", flat=True))

    def require_synced(self, names: Iterable[str], list_shown: Callable[[str], set[str]]) -> None:
        """Check that Cairn shows people what the source shows them. `list_shown` returns that."""
        for name in names:
            assert self.list_synced(name) == list_shown(name), name

    def link(self, **people: str) -> None:
        """Link people with their ids in the source by hand, as admins do where addresses don't match."""
        for name, identity in people.items():
            subject = SourceSubject.objects.get(external_id=identity)
            link_source_person(subject, self._users[name], self._manager)

    def require_canary(self, shown: Mapping[str, Collection[str]]) -> None:
        """Check an item that the source shows one person and not another. `shown`: items by person."""
        reader, other, canary = next(
            (one, another, item)
            for one in sorted(shown)
            for another in sorted(shown)
            for item in sorted(set(shown[one]) - set(shown[another]))
        )
        document = SourceItem.objects.get(source__knowledge_base=self._base, external_id=canary).document
        assert document is not None
        require_canary(document, reader=self._users[reader], other=self._users[other])

    def list_shown(self, name: str) -> set[str]:
        """Return the ids of items that Cairn shows a person."""
        found = documents_for(principal_for_user(self._users[name]))
        return set(found.values_list("source_key", flat=True))
