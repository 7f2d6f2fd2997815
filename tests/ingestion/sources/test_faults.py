"""Sources that fail, lie, hang, or change while they are read."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.library.models import Document
from cairn.settings import environment
from ingestion.imports.services import import_cancel
from ingestion.jobs import lifecycle
from ingestion.models import Import, Job, Source, SourceItem, SourceItemState, SourceSchedule, SourceTask
from ingestion.sources.lease import claim_schedule
from ingestion.sources.protocol import (
    Change,
    Complete,
    Gone,
    Item,
    ItemChanged,
    ItemUnavailable,
    Progress,
    SourceUnavailable,
)
from ingestion.sources.selectors import items_of, schedules_of
from ingestion.sources.services import source_request, source_update
from ingestion.sources.sync import fetching, listing
from ingestion.sources.sync.run import run_leased, run_source_task
from tests.ingestion.sources.conftest import Sync
from tests.ingestion.sources.fake_source import FakeServer

pytestmark = pytest.mark.django_db


def present() -> set[str]:
    return set(Document.objects.present().values_list("source_uri", flat=True))


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def after(count: int, error: Exception) -> Callable[[int], None]:
    def fail(number: int) -> None:
        if number >= count:
            raise error

    return fail


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def three(server: FakeServer, sync: Sync) -> FakeServer:
    """A server with three files that have been synced, of which one is gone since."""
    for name in ("a.md", "b.md", "c.md"):
        server.put(name)
    sync()
    del server.files["a.md"]
    server.put("new.md")
    return server


AWAY = SourceUnavailable("The server doesn’t respond.")


@pytest.mark.parametrize("moment", ["before_listing", "before_change", "before_end"])
def test_source_failing_during_a_listing_deletes_nothing(three: FakeServer, sync: Sync, moment: str) -> None:
    faults = {"before_change": after(2, AWAY)}
    setattr(three, moment, faults.get(moment, raising(AWAY)))
    if moment == "before_end":
        three.changes = lambda _cursor: iter([file.item for file in three.files.values()])
    schedule = sync()
    assert (schedule.failures, schedule.error) == (1, "The server doesn’t respond.")
    assert {"fake://a.md", "fake://b.md", "fake://c.md"} <= present()
    setattr(three, moment, lambda *_: None)
    three.changes = None
    assert sync().failures == 0
    assert present() == {"fake://b.md", "fake://c.md", "fake://new.md"}


def test_incomplete_listing_deletes_nothing(three: FakeServer, sync: Sync) -> None:
    three.changes = lambda _cursor: iter([three.files["b.md"].item])
    schedule = sync()
    assert "ended too early" in schedule.error
    assert "fake://a.md" in present()


def test_empty_listing_deletes_nothing(three: FakeServer, sync: Sync) -> None:
    files, three.files = three.files, {}
    schedule = sync()
    assert "lists nothing" in schedule.error
    assert len(present()) == 3
    three.files = files
    sync()
    assert len(present()) == 3


def gone(*names: str) -> Callable[[str], Iterator[Change]]:
    """List changes only: these items are gone."""
    return lambda _cursor: iter([*map(Gone, names), Complete("next", full=False)])


def test_changes_deleting_everything_need_a_confirmation(
    three: FakeServer, sync: Sync, source: Source, admin: Principal
) -> None:
    three.changes = gone("a.md", "b.md", "c.md")
    schedule = sync()
    assert "lists nothing" in schedule.error
    assert (len(present()), Source.objects.get().cursor) == (3, "end")
    source_request(source=source, task=SourceTask.CONTENT, principal=admin, full=True)
    assert "lists nothing" in sync().error, "whatever somebody confirmed"
    three.changes = gone("a.md", "b.md")
    assert sync().failures == 0
    assert present() == {"fake://c.md"}


@pytest.mark.parametrize("full", [True, False])
def test_only_when_confirmed_most_documents_are_deleted(
    server: FakeServer,
    sync: Sync,
    source: Source,
    admin: Principal,
    monkeypatch: pytest.MonkeyPatch,
    full: bool,
) -> None:
    monkeypatch.setattr(listing, "MAX_REMOVED", 2)
    names = [f"{number}.md" for number in range(5)]
    for name in names:
        server.put(name)
    sync()
    for name in names[:3]:
        del server.files[name]
    new = server.put("new.md")
    if not full:
        changes = [new, *map(Gone, names[:3]), Complete("next", full=False)]
        server.changes = lambda _cursor: iter(changes)
    for _ in range(2):
        schedule = sync()
        assert (schedule.failures > 0, "3 of 5 documents" in schedule.error) == (True, True)
        assert len(present()) == 5, "also after rows of new items were stored"
    source_request(source=source, task=SourceTask.CONTENT, principal=admin, full=True)
    assert sync().failures == 0
    assert present() == {"fake://3.md", "fake://4.md", "fake://new.md"}
    assert not Source.objects.get().removal_confirmed, "once"


def test_confirmation_ends_when_another_folder_is_selected(
    server: FakeServer, source: Source, admin: Principal
) -> None:
    source_request(source=source, task=SourceTask.CONTENT, principal=admin, full=True)
    assert Source.objects.get().removal_confirmed
    source_update(source=source, principal=admin, options={"host": "files", "folder": "b"})
    assert not Source.objects.get().removal_confirmed


def test_source_that_was_never_filled_may_be_empty(server: FakeServer, sync: Sync) -> None:
    assert sync().error == ""


def test_items_of_an_unlisted_folder_are_preserved(server: FakeServer, sync: Sync) -> None:
    for path in ("hr/a.md", "hr/2026/b.md", "HR2/c.md", "hr2/d.md", "e.md"):
        server.put(path)
    sync()
    server.unlisted["hr"] = "403 Forbidden"
    for path in ("hr2/d.md", "HR2/c.md"):
        del server.files[path]
    schedule = sync()
    assert present() == {"fake://hr/a.md", "fake://hr/2026/b.md", "fake://e.md"}
    assert (schedule.failures, schedule.result["unlisted"]) == (0, 1)
    assert "“hr”" in schedule.error
    server.unlisted.clear()
    del server.files["hr/a.md"]
    sync()
    assert present() == {"fake://hr/2026/b.md", "fake://e.md"}


def test_revoked_credentials_preserve_documents_and_slow_down_attempts(
    three: FakeServer, sync: Sync, source: Source
) -> None:
    three.password = "other"
    schedule = sync()
    assert (schedule.error, len(present())) == ("Wrong password.", 3)
    assert not run_source_task(schedule.pk)
    assert schedule.not_before is not None
    assert schedule.not_before > timezone.now() + timedelta(minutes=50)
    assert schedules_of(source)[0].failures == 1


def test_source_is_paused_for_its_retry_after(server: FakeServer, sync: Sync) -> None:
    server.before_listing = raising(SourceUnavailable("Too many requests.", retry_after=7200))
    schedule = sync()
    assert schedule.not_before is not None
    assert timedelta(minutes=119) < schedule.not_before - timezone.now() < timedelta(minutes=121)


def test_pauses_grow_with_each_failure(server: FakeServer, sync: Sync) -> None:
    server.before_listing = raising(AWAY)
    pauses = []
    for _ in range(12):
        schedule = sync()
        assert schedule.not_before is not None
        pauses.append(round((schedule.not_before - timezone.now()) / timedelta(minutes=1)))
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 12 * 60


def test_endless_progress_listing_ends(three: FakeServer, sync: Sync) -> None:
    clock, yielded = Clock(), 0

    def changes(_cursor: str) -> Iterator[Change]:
        nonlocal yielded
        for _ in range(10_000):
            clock.now += 30
            yielded += 1
            yield Progress()
        yield Complete()

    three.changes = changes
    assert "didn’t end within 6 hours" in sync(clock=clock).error
    assert yielded == 6 * 120 + 1
    assert "fake://a.md" in present()


@pytest.mark.slow
def test_endless_listing_times_out(server: FakeServer, sync: Sync) -> None:
    clock = Clock()

    def changes(_cursor: str) -> Iterator[Change]:
        for number in range(10_000):
            clock.now += 60
            yield Item("a.md", "a.md", "fake://a.md", str(number))
        yield Complete()

    server.changes = changes
    assert "didn’t end within 24 hours" in sync(clock=clock).error


def test_silent_source_times_out_after_five_minutes(three: FakeServer, sync: Sync) -> None:
    clock = Clock()

    def hang(number: int) -> None:
        clock.now += 301 if number else 0

    three.before_change = hang
    assert "stopped responding" in sync(clock=clock).error
    assert "fake://a.md" in present()


def test_slow_progress_is_progress(three: FakeServer, sync: Sync) -> None:
    clock = Clock()

    def wait(_number: int) -> None:
        clock.now += 299

    three.before_change = wait
    assert sync(clock=clock).error == ""


def test_dead_worker_is_replaced_once_and_then_after_a_pause(server: FakeServer, source: Source) -> None:
    server.put("a.md")
    schedule = SourceSchedule.objects.get(source=source, task="content")
    for _ in range(2):
        assert claim_schedule(schedule.pk) is not None
        assert claim_schedule(schedule.pk) is None, "it is leased"
        SourceSchedule.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert claim_schedule(schedule.pk) is None
    schedule.refresh_from_db()
    assert (schedule.failures, schedule.lease) == (2, None)
    assert "stopped responding" in schedule.error
    SourceSchedule.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    assert run_source_task(schedule.pk)
    schedule.refresh_from_db()
    assert schedule.failures == 0


def test_run_without_its_lease_changes_nothing(three: FakeServer, source: Source) -> None:
    schedule = SourceSchedule.objects.get(source=source, task="content")
    SourceSchedule.objects.update(requested_at=timezone.now())
    lease = claim_schedule(schedule.pk)
    assert lease is not None

    def take_over() -> None:
        SourceSchedule.objects.filter(pk=schedule.pk).update(lease=Source.objects.get().id)

    three.before_listing = take_over
    run_leased(lease)
    schedule.refresh_from_db()
    assert schedule.lease == source.id
    assert present() == {"fake://a.md", "fake://b.md", "fake://c.md"}
    assert not SourceItem.objects.filter(external_id="new.md").exists()


def test_concurrent_workers_run_a_task_once(server: FakeServer, source: Source) -> None:
    server.put("a.md")
    schedule = SourceSchedule.objects.get(source=source, task="content")

    def second() -> None:
        assert not run_source_task(schedule.pk)

    server.before_listing = second
    assert run_source_task(schedule.pk)
    assert len(server.cursors) == 1


def test_shutdown_stops_a_run_and_the_next_worker_continues(
    server: FakeServer, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        server.put(f"{number}.md")
    server.reading = lambda item: lifecycle.stopping.set() if item.id == "1.md" else None
    try:
        schedule = sync()
    finally:
        lifecycle.stopping.clear()
    assert (schedule.lease, schedule.failures, schedule.requested_at is not None) == (None, 0, True)
    assert len(present()) == 1
    server.reading = lambda _item: None
    sync()
    assert (len(present()), Job.objects.count()) == (4, 4)


@pytest.mark.parametrize(
    "name",
    [
        "\x00.md",
        "\ud800.md",
        "a\u202eb.md",
        "é" * 300 + ".md",
        "😀.md",
        "CON.md",
        "..",
        " ",
        "a/b\\c.md",
        "\n",
    ],
)
def test_any_name_is_stored_or_refused(server: FakeServer, sync: Sync, name: str) -> None:
    server.put("good.md")
    server.put("bad", "Rules.")
    server.files["bad"].item = Item("bad", name, "fake://bad", "v1", title=name)
    schedule = sync()
    assert (schedule.failures, schedule.result["submitted"]) == (0, 2)
    assert sync().result.get("submitted") is None


@pytest.mark.parametrize("path", ["\x00", "a\ud800b", "x" * 1200])
@pytest.mark.parametrize("part", ["id", "uri", "container"])
def test_unstorable_items_are_listed_with_the_reason(
    server: FakeServer, sync: Sync, source: Source, path: str, part: str
) -> None:
    server.put("good.md")
    texts = {"id": "bad", "uri": "fake://bad", "container": "", part: path}
    server.put("bad")
    server.files["bad"].item = Item(name="bad.md", version="1", **texts)
    for _ in range(2):
        assert sync().failures == 0
    (failed,) = items_of(source, state=SourceItemState.FAILED)
    assert "Rename it" in failed.error
    assert present() == {"fake://good.md"}
    del server.files["bad"]
    sync()
    assert not items_of(source, state=SourceItemState.FAILED)


@pytest.mark.parametrize("version", ["\x00", "\ud800", "v" * 5000])
def test_any_version_is_compared(server: FakeServer, sync: Sync, version: str) -> None:
    server.put("a.md", version=version)
    assert sync().result["submitted"] == 1
    assert sync().result.get("submitted") is None
    server.put("a.md", "other", version=f"{version}2")
    assert sync().result["submitted"] == 1


def test_version_from_the_future_is_read_once(server: FakeServer, sync: Sync) -> None:
    server.put("a.md", version="2999-01-01", modified=datetime(2999, 1, 1, tzinfo=UTC))
    sync()
    server.opened.clear()
    sync()
    assert server.opened == []
    server.put("a.md", "earlier", version="1999-01-01", modified=datetime(1999, 1, 1, tzinfo=UTC))
    assert sync().result["submitted"] == 1


def test_file_changing_during_reading_waits_for_the_next_sync(
    server: FakeServer, sync: Sync, source: Source
) -> None:
    server.put("a.md")
    server.leaving = raising(ItemChanged("It changed."))
    sync()
    assert (present(), [row.error for row in items_of(source)]) == (set(), ["It changed."])
    server.leaving = lambda _item: None
    sync()
    assert present() == {"fake://a.md"}


def test_file_with_a_wrong_size_is_retried_once(server: FakeServer, sync: Sync, source: Source) -> None:
    server.put("a.md", size=3)
    sync()
    assert present() == set()
    assert "changed while" in items_of(source)[0].error
    sync()
    assert present() == {"fake://a.md"}, "the source reports wrong sizes"


def test_size_limit_applies_to_bytes_read(
    server: FakeServer, sync: Sync, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = environment().model_copy(update={"upload_max_mb": 1})
    monkeypatch.setattr("ingestion.documents.upload.environment", lambda: limited)
    monkeypatch.setattr(fetching, "environment", lambda: limited)
    server.put("lies.md", "x" * (3 << 20), size=10)
    server.put("honest.md", "x" * (3 << 20))
    server.put("unknown.md", "x" * (3 << 20), size=None)
    server.put("good.md", size=-5)
    sync()
    assert present() == {"fake://good.md"}
    assert all("MB" in row.error for row in items_of(source, state=SourceItemState.FAILED))
    assert set(server.opened) == {"lies.md", "unknown.md", "good.md"}
    server.opened.clear()
    sync()
    assert server.opened == [], "they are not read again until they change"


def test_unreadable_item_does_not_block_others(server: FakeServer, sync: Sync, source: Source) -> None:
    for name in ("a.md", "b.md", "c.md"):
        server.put(name)
    errors = {"a.md": ItemUnavailable("Permission denied."), "b.md": ValueError("broken kind")}
    server.reading = lambda item: raising(errors[item.id])() if item.id in errors else None
    schedule = sync()
    assert (schedule.failures, schedule.result["failed"]) == (0, 2)
    assert present() == {"fake://c.md"}
    reasons = {row.name: row.error for row in items_of(source, state=SourceItemState.FAILED)}
    assert reasons["a.md"] == "Permission denied."
    assert "server log" in reasons["b.md"]
    server.reading = lambda _item: None
    sync()
    assert len(present()) == 3


def test_source_failing_during_reading_ends_the_run(server: FakeServer, sync: Sync) -> None:
    for number in range(60):
        server.put(f"{number}.md")
    server.reading = raising(OSError("connection reset"))
    schedule = sync()
    assert (schedule.failures, len(server.opened)) == (1, 20)
    server.opened.clear()
    server.reading = raising(AWAY)
    sync()
    assert len(server.opened) == 1


def test_document_is_preserved_if_its_new_version_is_unreadable(three: FakeServer, sync: Sync) -> None:
    three.put("b.md", "changed")
    three.reading = raising(ItemUnavailable("Permission denied."))
    sync()
    assert "fake://b.md" in present()


def test_cancelled_import_ends_the_run(server: FakeServer, sync: Sync, admin: Principal) -> None:
    server.put("a.md")
    server.put("b.md")

    def cancel(item: Item) -> None:
        if item.id == "b.md":
            import_cancel(batch=Import.objects.get(), principal=admin)

    server.reading = cancel
    assert "cancelled" in sync().error
    server.reading = lambda _item: None
    sync()
    assert len(present()) == 2


@pytest.mark.parametrize("change", ["inactive", "demoted"])
def test_source_is_synced_only_for_a_manager_of_the_base(
    server: FakeServer, sync: Sync, admin: Principal, change: str
) -> None:
    server.put("a.md")
    user = Source.objects.get().user
    assert user is not None
    user.is_active, user.is_admin = change != "inactive", False
    user.save()
    Source.objects.get().knowledge_base.grants.all().delete()
    assert "can’t manage" in sync().error
    assert server.cursors == []


def test_people_are_replaced_only_by_a_complete_list(server: FakeServer, sync: Sync) -> None:
    server.people.append(object())  # type: ignore[arg-type]
    assert "server log" in sync("people").error


def test_rows_of_an_interrupted_listing_are_fetched_by_the_next(
    server: FakeServer, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "BATCH_SIZE", 1)
    server.put("a.md")
    server.put("b.md")
    server.before_change = after(1, AWAY)
    sync()
    assert (SourceItem.objects.count(), present()) == (1, set())
    server.before_change = lambda _number: None
    assert sync().result["new"] == 1
    assert present() == {"fake://a.md", "fake://b.md"}
