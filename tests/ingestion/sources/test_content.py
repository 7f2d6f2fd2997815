"""Documents follow the items of a source."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F

from cairn.access.models import AccessList, SourceSubject, SyncedAccess
from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.services import EVERYONE as EVERYBODY
from cairn.access.services import readers_of, readers_replace
from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess, SourcePerson
from cairn.errors import InvalidInput
from cairn.library.models import Document
from cairn.settings import environment
from ingestion.documents.services import document_delete, knowledge_base_delete
from ingestion.erasure.documents import erase
from ingestion.erasure.retention import apply_retention
from ingestion.models import (
    Import,
    ImportItem,
    Job,
    Source,
    SourceItem,
    SourceItemState,
    SourceSchedule,
    SourceTask,
)
from ingestion.sources.dry_run import source_dry_run
from ingestion.sources.protocol import Change, Complete, Gone, SourceUnavailable
from ingestion.sources.removal import remove_deleted_sources
from ingestion.sources.selectors import item_counts, items_of, schedules_of
from ingestion.sources.services import source_delete, source_request, source_update
from ingestion.sources.sync import fetching, listing
from tests.ingestion.conftest import Submit
from tests.ingestion.sources.conftest import Sync
from tests.ingestion.sources.fake_source import FakeConnection, FakeServer

pytestmark = pytest.mark.django_db

OPEN = SourceAccess(levels=((AccessEntry(EVERYONE),),))
FOR_ANN = SourceAccess(levels=((AccessEntry("ann"),),))
ANN = SourcePerson("ann", "Ann", email="ann@example.org")


def present() -> set[str]:
    return set(Document.objects.present().values_list("source_uri", flat=True))


def test_new_items_become_documents_of_one_import(server: FakeServer, sync: Sync, source: Source) -> None:
    server.put("a.md")
    server.put("finance/b.md", title="Budget")
    schedule = sync()
    assert (schedule.result["new"], schedule.result["submitted"], schedule.error) == (2, 2, "")
    assert present() == {"fake://a.md", "fake://finance/b.md"}
    assert set(Document.objects.values_list("title", flat=True)) == {"a.md", "Budget"}
    batch = Import.objects.get()
    assert (batch.kind, batch.label, batch.closed_at is not None) == ("source", "Files", True)
    assert Source.objects.get().batch == batch
    assert set(ImportItem.objects.values_list("source_uri", flat=True)) == present()
    assert item_counts(source).synced == 2


def test_unchanged_items_are_not_read(server: FakeServer, sync: Sync) -> None:
    server.put("a.md")
    server.put("b.md")
    sync()
    server.put("b.md", "other words")
    server.opened.clear()
    assert sync().result["submitted"] == 1
    assert server.opened == ["b.md"]
    assert Document.objects.get(source_uri="fake://b.md").versions.count() == 2


def test_new_version_with_equal_bytes_is_not_processed(server: FakeServer, sync: Sync) -> None:
    server.put("a.md", "the same")
    sync()
    server.put("a.md", "the same")
    assert sync().result["same_bytes"] == 1
    assert Job.objects.count() == 1


def test_source_without_versions_is_compared_by_bytes(server: FakeServer, sync: Sync) -> None:
    server.put("a.md", version="")
    assert sync().result["submitted"] == 1
    assert sync().result["same_bytes"] == 1
    server.put("a.md", "changed", version="")
    assert sync().result["submitted"] == 1


def test_renamed_and_moved_items_are_not_processed(server: FakeServer, sync: Sync) -> None:
    server.put("a.md")
    sync()
    document = Document.objects.get()
    server.rename("a.md", "archive/2026/final.md")
    server.opened.clear()
    assert sync().result["renamed"] == 1
    moved = Document.objects.get()
    assert (moved.pk, moved.source_uri, moved.title) == (
        document.pk,
        "fake://archive/2026/final.md",
        "final.md",
    )
    assert moved.latest_version is not None
    assert moved.latest_version.filename == "final.md"
    assert (server.opened, Job.objects.count()) == ([], 1)


def test_new_extension_creates_a_version_of_the_new_format(server: FakeServer, sync: Sync) -> None:
    server.put("a.txt")
    sync()
    server.rename("a.txt", "a.md")
    sync()
    assert [version.filename for version in Document.objects.get().versions.all()] == ["a.txt", "a.md"]
    assert sync().result.get("submitted") is None


def test_items_missing_in_a_complete_listing_are_deleted(server: FakeServer, sync: Sync) -> None:
    server.put("a.md")
    server.put("b.md")
    sync()
    del server.files["a.md"]
    assert sync().result["removed"] == 1
    assert present() == {"fake://b.md"}
    assert SourceItem.objects.get().external_id == "b.md"


def test_incremental_changes_delete_only_named_items(server: FakeServer, sync: Sync) -> None:
    for name in ("a.md", "b.md", "c.md"):
        server.put(name)
    sync()

    def changes(cursor: str) -> Iterator[Change]:
        yield Gone("a.md")
        yield Gone("b.md")
        yield server.files["b.md"].item  # moved out and back
        yield Complete("next", full=False)

    server.changes = changes
    assert sync().result["removed"] == 1
    assert present() == {"fake://b.md", "fake://c.md"}
    assert (server.cursors, Source.objects.get().cursor) == (["", "end"], "next")


@pytest.mark.parametrize("batch", [1, 500])
def test_item_under_two_paths_is_one_document(
    server: FakeServer, sync: Sync, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(listing, "BATCH_SIZE", batch)
    first = server.put("a.md")

    def changes(_cursor: str) -> Iterator[Change]:
        yield first
        yield type(first)(first.id, "link.md", "fake://link.md", first.version, size=first.size)
        yield Complete("")

    server.changes = changes
    sync()
    schedule = sync()
    assert present() == {"fake://a.md"}
    assert (schedule.result.get("renamed"), Job.objects.count()) == (None, 1)


def test_locally_deleted_source_documents_stay_deleted(
    server: FakeServer, sync: Sync, source: Source, admin: Principal
) -> None:
    server.put("a.md")
    sync()
    document_delete(document=Document.objects.get(), principal=admin)
    sync()
    server.put("a.md", "changed")
    sync()
    assert (present(), item_counts(source).excluded) == (set(), 1)
    assert [row.uri for row in items_of(source, state=SourceItemState.EXCLUDED)] == ["fake://a.md"]
    source_request(source=source, task=SourceTask.CONTENT, principal=admin, full=True)
    sync()
    assert (present(), item_counts(source).excluded) == ({"fake://a.md"}, 0)


def test_expired_documents_return_only_when_changed(server: FakeServer, sync: Sync, source: Source) -> None:
    server.put("a.md")
    sync()
    base = source.knowledge_base
    base.retention_days = 0
    base.save()
    assert apply_retention() == 1
    sync()
    assert present() == set()
    server.put("a.md", "changed")
    sync()
    assert present() == {"fake://a.md"}


def test_upload_cannot_replace_a_source_item(submit: Submit, source: Source) -> None:
    with pytest.raises(InvalidInput, match="Only a source"):
        submit("words", source_uri=f"source:{source.id}/a.md")


def test_new_documents_are_readable_as_in_the_source(
    server: FakeServer, sync: Sync, source: Source, person: Principal, admin: Principal
) -> None:
    source_update(source=source, principal=admin, match_email=True)
    server.people.append(ANN)
    server.put("ann.md", access=FOR_ANN)
    server.put("open.md", access=OPEN)
    server.put("closed.md")
    sync("people")
    sync()
    readable = set(documents_for(person).values_list("source_uri", flat=True))
    assert readable == {"fake://ann.md", "fake://open.md"}
    assert documents_for(admin).count() == 3
    assert all(Document.objects.values_list("narrowed", flat=True))


def test_access_follows_without_reading_content(
    server: FakeServer, sync: Sync, source: Source, person: Principal, admin: Principal
) -> None:
    source_update(source=source, principal=admin, match_email=True)
    server.people.append(ANN)
    server.put("a.md", access=OPEN)
    sync("people")
    sync()
    server.opened.clear()
    server.put("a.md", "Rules of a.md.", access=SourceAccess())
    assert sync("access").result["access_changed"] == 1
    assert not documents_for(person).exists()
    server.files["a.md"].access = FOR_ANN
    sync("access")
    assert documents_for(person).exists()
    assert (server.opened, Job.objects.count()) == ([], 1)


def test_new_access_version_is_applied_by_the_next_listing(server: FakeServer, sync: Sync) -> None:
    item = server.put("a.md", access_version="1")
    sync()
    server.asked_access.clear()
    sync()
    assert server.asked_access == []
    server.files["a.md"].item = type(item)(item.id, item.name, item.uri, item.version, "", "2", "", item.size)
    server.files["a.md"].access = OPEN
    assert sync().result["access_changed"] == 1
    assert (server.asked_access, Job.objects.count()) == (["a.md"], 1)


def test_documents_that_the_source_no_longer_shows_are_for_managers(
    server: FakeServer, sync: Sync, person: Principal
) -> None:
    server.put("a.md", access=OPEN)
    sync()
    assert documents_for(person).exists()
    del server.files["a.md"]
    sync("access")
    assert not documents_for(person).exists()
    assert "no longer shows" in SyncedAccess.objects.get().unknown


@pytest.mark.parametrize(("readers", "readable"), [("everyone", True), ("managers", False)])
def test_readers_set_by_hand_survive_a_sync(
    server: FakeServer,
    sync: Sync,
    source: Source,
    person: Principal,
    admin: Principal,
    readers: str,
    readable: bool,
) -> None:
    source_update(source=source, principal=admin, readers=readers)
    server.put("a.md")
    sync()
    assert documents_for(person).exists() is readable
    document = Document.objects.get()
    readers_replace(document=document, readers=[f"user:{person.user}"], actor=admin.actor)
    server.put("a.md", "changed")
    sync()
    assert readers_of(document) == [f"user:{person.user}"], "what somebody chose stays"


def test_reader_setting_of_a_source_applies_to_all_its_documents(
    server: FakeServer, sync: Sync, source: Source, person: Principal, admin: Principal
) -> None:
    server.put("a.md", access=FOR_ANN)
    sync()
    source_update(source=source, principal=admin, readers="everyone")
    sync()
    assert readers_of(Document.objects.get()) == [EVERYBODY]
    source_update(source=source, principal=admin, readers="managers")
    assert not documents_for(person).exists(), "at once, before the next sync"
    source_update(source=source, principal=admin, readers="everyone")
    sync()
    source_update(source=source, principal=admin, readers="source")
    assert not documents_for(person).exists()
    server.files["a.md"].access = OPEN
    sync()
    assert documents_for(person).exists()


def test_readers_changed_during_a_sync_open_no_document_to_everyone(
    server: FakeServer, sync: Sync, source: Source, admin: Principal
) -> None:
    for name in ("a.md", "b.md", "c.md"):
        server.put(name)
    sync()
    source_update(source=source, principal=admin, readers="everyone")
    changed = False

    def clock() -> float:
        nonlocal changed
        if not changed and Document.objects.filter(narrowed=False).exists():
            changed = True
            source_update(source=source, principal=admin, readers="managers")
        return 0.0

    sync(clock=clock)
    assert changed
    assert not Document.objects.filter(narrowed=False).exists()
    sync()
    assert not Document.objects.filter(narrowed=False).exists()
    assert not SourceItem.objects.filter(synced_access_version="").exists()


@pytest.mark.parametrize("readers", ["managers", "source"])
def test_document_submitted_during_a_change_of_readers_is_restricted(
    server: FakeServer,
    sync: Sync,
    source: Source,
    admin: Principal,
    monkeypatch: pytest.MonkeyPatch,
    readers: str,
) -> None:
    submit = fetching.document_submit

    def change_and_submit(*args: Any, **options: Any) -> Any:
        source_update(source=source, principal=admin, readers=readers)
        return submit(*args, **options)

    source_update(source=source, principal=admin, readers="everyone")
    server.put("a.md")
    monkeypatch.setattr(fetching, "document_submit", change_and_submit)
    sync()
    assert Document.objects.get().narrowed
    assert SourceItem.objects.get().synced_access_version == "", "the next sync sets its access"


def test_open_documents_without_synced_access_are_restricted_to_managers(
    server: FakeServer, sync: Sync, source: Source, admin: Principal
) -> None:
    source_update(source=source, principal=admin, readers="everyone")
    server.put("a.md")
    sync()
    Source.objects.update(readers="managers")
    SourceItem.objects.update(synced_access_version="")
    sync()
    assert Document.objects.get().narrowed


def test_access_is_followed_before_new_content_is_fetched(
    server: FakeServer, sync: Sync, person: Principal
) -> None:
    server.put("a.md", access=OPEN)
    sync()
    assert documents_for(person).exists()
    readable = list[bool]()
    server.reading = lambda _item: readable.append(documents_for(person).exists())
    server.put("a.md", "Confidential.", access=SourceAccess())
    sync()
    assert readable == [False]


def test_previously_read_content_gains_no_new_readers(
    server: FakeServer, sync: Sync, source: Source, person: Principal, admin: Principal
) -> None:
    """The new permissions are those of a version that Cairn doesn't have, or hasn't processed yet."""
    source_update(source=source, principal=admin, match_email=True)
    server.people.append(ANN)
    closed = SourceAccess(levels=((AccessEntry("ben"),),))
    accesses = {"ann.md": FOR_ANN, "ben.md": closed, "nobody.md": SourceAccess(levels=())}
    for name, access in accesses.items():
        server.put(name, access=access)
    sync("people")
    sync()
    Document.objects.update(active_version=F("latest_version"))

    def readable() -> set[str]:
        return set(documents_for(person).values_list("source_uri", flat=True))

    for name in accesses:
        server.put(name, access=OPEN, size=1 + (environment().upload_max_mb << 20))
    sync()
    sync("access")
    assert readable() == {"fake://ann.md"}
    for name in accesses:
        server.put(name, "Without salaries.")
    sync()
    sync("access")
    assert readable() == {"fake://ann.md"}
    Document.objects.update(active_version=F("latest_version"))
    sync("access")
    assert readable() == {f"fake://{name}" for name in accesses}


def test_content_with_unknown_readers_is_not_fetched(
    server: FakeServer, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[tuple[str, SourceAccess]]:
        raise SourceUnavailable("Who may read it isn’t known.")

    server.put("a.md", access=OPEN)
    sync()
    server.opened.clear()
    server.put("a.md", "Confidential.", access=SourceAccess())
    with monkeypatch.context() as broken:
        broken.setattr(FakeConnection, "list_access", fail)
        assert sync().failures == 1
    assert server.opened == []
    sync()
    assert server.opened == ["a.md"]


@pytest.mark.parametrize("delete", [True, False])
def test_deleting_a_source(
    server: FakeServer, sync: Sync, source: Source, person: Principal, admin: Principal, delete: bool
) -> None:
    server.put("a.md", access=OPEN)
    sync()
    source_delete(source=source, principal=admin, delete_documents=delete)
    assert remove_deleted_sources() == 1
    assert not Source.objects.exists()
    assert not documents_for(person).exists()
    assert documents_for(admin).count() == (0 if delete else 1)
    assert not SyncedAccess.objects.exclude(document__deleted_at__isnull=False).exists()


def test_source_is_not_removed_while_a_worker_syncs_it(
    server: FakeServer, source: Source, admin: Principal, sync: Sync
) -> None:
    def delete() -> None:
        source_delete(source=source, principal=admin, delete_documents=True)
        assert remove_deleted_sources() == 0

    server.put("a.md")
    server.before_listing = delete
    sync()
    assert present() == set()
    assert remove_deleted_sources() == 1


def test_dry_run_stores_nothing(server: FakeServer, sync: Sync, source: Source) -> None:
    for name in ("a.md", "b.md", "c.md", "closed/d.md"):
        server.put(name)
    sync()
    before = (list(SourceItem.objects.values()), list(SourceSchedule.objects.values()))
    server.put("a.md", "changed")
    server.put("new.md")
    del server.files["b.md"]
    server.unlisted["closed"] = "Permission denied"
    found = source_dry_run(source)
    assert (found.new.uris, found.changed.uris) == (["fake://new.md"], ["fake://a.md"])
    assert (found.gone.uris, found.unchanged, found.complete) == (["fake://b.md"], 1, True)
    assert found.unlisted == {"closed": "Permission denied"}
    assert (list(SourceItem.objects.values()), list(SourceSchedule.objects.values())) == before
    assert "c.md" not in server.opened[4:]


def test_dry_run_lists_the_first_hundred_items(server: FakeServer, source: Source) -> None:
    for number in range(130):
        server.put(f"{number}.md")
    found = source_dry_run(source)
    assert (found.new.count, len(found.new.uris)) == (130, 100)


class NoPoints:
    """An index without points."""

    def count(self, *, document: UUID) -> int:
        return 0

    def delete_document(self, document: UUID) -> None:
        pass


def test_deleting_a_knowledge_base_deletes_the_people_of_its_sources(
    server: FakeServer, sync: Sync, source: Source, admin: Principal
) -> None:
    server.people.append(ANN)
    server.put("a.md", access=FOR_ANN)
    sync("people")
    sync()
    receipt = knowledge_base_delete(knowledge_base=source.knowledge_base, principal=admin)
    Job.objects.all().delete()
    erase(receipt.id, NoPoints())
    assert not Source.objects.exists()
    assert (SourceSubject.objects.count(), AccessList.objects.count()) == (0, 0)


def test_run_with_outdated_options_ends(
    server: FakeServer, sync: Sync, source: Source, admin: Principal
) -> None:
    for name in ("a.md", "b.md"):
        server.put(name)
    sync()
    server.files.pop("a.md")

    def change() -> None:
        source_update(source=source, principal=admin, options={"host": "files", "folder": "b"})

    server.before_listing = change
    sync()
    assert len(present()) == 2
    assert (Source.objects.get().cursor, schedules_of(source)[0].requested) == ("", True)
