"""Attachments and members as documents of their own, with what can go wrong while they are taken out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, reader_tokens
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.errors import Conflict, DocumentRejected, Rejection
from cairn.library.models import MAX_NESTING_DEPTH, Chunk, Document, DocumentVersion, KnowledgeBase
from cairn.library.rendition import Element, Rendition
from cairn.settings import environment
from ingestion.documents.services import document_delete, document_update, knowledge_base_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.erasure import documents
from ingestion.imports.services import ImportState, import_cancel, import_open, summary
from ingestion.indexing.cleanup import refresh_stale
from ingestion.jobs import lifecycle
from ingestion.jobs.services import RetryResult, job_cancel, job_retry, jobs_retry
from ingestion.models import LEASE, Import, Job, Lane, Outcome, Receipt, Stage
from ingestion.parse.core import failures, formats
from ingestion.parse.sandbox.pool import Parsed
from ingestion.pipeline import embedded_files, run
from retrieval import engine as engines
from retrieval.engine import Engine
from tests.fakes import FakeChat, FakeEmbedder
from tests.ingestion.conftest import Submit
from tests.ingestion.parts import FakeIndex, FakeParsers
from tests.principals import SETUP

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BASE = "memo.eml"


class FakeContainers(FakeParsers):
    """A file that contains a JSON object is a container of its values, by name; all others are text."""

    def __init__(self) -> None:
        super().__init__()
        self.media_type = formats.EML
        self.before_part: Callable[[int], None] = lambda _place: None
        self.read: list[str] = []

    def parse(self, path: Path, filename: str, **options: Any) -> Parsed:
        inside = _inside(path)
        if inside is None:
            return super().parse(path, filename, **options)
        listing = Rendition((Element(0, "ListItem", f"It holds {', '.join(inside) or 'nothing'}."),))
        return Parsed(listing, self.media_type, tuple(inside))

    def part(self, path: Path, _filename: str, index: int, **_said: Any) -> bytes:
        self.before_part(index)
        inside = _inside(path) or {}
        name = list(inside)[index]
        self.read.append(name)
        if inside[name] is None:
            raise failures.damaged("file")
        return str(inside[name]).encode()


def _inside(path: Path) -> dict[str, str | None] | None:
    text = path.read_text()
    return json.loads(text) if text.startswith("{") else None


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    found = FakeIndex()
    with engines.use(Engine(FakeEmbedder(), found, FakeChat())):
        yield found


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> FakeContainers:
    fake = FakeContainers()
    monkeypatch.setattr("ingestion.parse.parser_pool._pool", fake)
    return fake


@pytest.fixture
def pack(submit: Submit, index: FakeIndex, parsers: FakeContainers) -> Callable[..., Job]:
    """Upload a container file and return its job."""

    def _pack(**inside: str | None) -> Job:
        job = submit(json.dumps(inside), BASE).job
        assert job is not None
        return job

    return _pack


Pack = Callable[..., Job]


def work() -> None:
    """Process jobs until the queue is empty."""
    while (lease := lifecycle.claim_next(Lane.BULK)) is not None:
        run.process(lease)


def again() -> None:
    """Process jobs as if the pauses after failed attempts were over."""
    Job.objects.update(not_before=None)
    work()


def container() -> Document:
    return Document.objects.with_versions().get(parent=None, source_key=BASE)


def answering() -> dict[str, str]:
    """Return the searchable embedded files by name, with their text."""
    chunks = Chunk.objects.active().filter(version__document__parent=container())
    return {chunk.version.document.source_uri.removeprefix(f"{BASE}/"): chunk.text for chunk in chunks}


def versions(name: str) -> int:
    return DocumentVersion.objects.filter(document__source_uri=f"{BASE}/{name}").count()


def test_embedded_files_become_documents(pack: Pack, index: FakeIndex, admin: Principal) -> None:
    pack(a="The first.", b="The second.")
    work()
    assert answering() == {"a": "The first.", "b": "The second."}
    child = Document.objects.get(source_uri=f"{BASE}/a")
    assert (child.parent, child.owner_id) == (container(), admin.user)
    assert container().status == "ready"
    assert {point.document for point in index.points.values()} == set(
        Document.objects.values_list("id", flat=True)
    )


def test_repeated_job_changes_nothing(pack: Pack, index: FakeIndex) -> None:
    job = pack(a="The first.", b="The second.")
    work()
    points = dict(index.points)
    Job.objects.filter(pk=job.pk).update(stage=Stage.QUEUED)
    work()
    assert index.points.keys() == points.keys()
    assert (Job.objects.count(), Document.objects.count()) == (3, 3)


def test_interrupted_job_continues(pack: Pack, parsers: FakeContainers) -> None:
    job = pack(a="The first.", b="The second.", c="The third.")

    def stop(place: int) -> None:
        if place == 1:
            raise RuntimeError("power failure")

    parsers.before_part = stop
    work()
    assert answering() == {}, "what came out so far waits for the rest"
    assert Job.objects.get(pk=job.pk).stage == Stage.QUEUED
    parsers.before_part = lambda _place: None
    again()
    assert answering() == {"a": "The first.", "b": "The second.", "c": "The third."}
    assert (versions("a"), Job.objects.count()) == (1, 4)


def test_new_version_reprocesses_only_changed_children(pack: Pack, index: FakeIndex) -> None:
    pack(same="The same.", changed="The old.", gone="The gone.")
    work()
    gone = Document.objects.get(source_uri=f"{BASE}/gone")
    pack(same="The same.", changed="The new.", added="The added.")
    assert answering()["gone"] == "The gone.", "the old version answers until the flip"
    work()
    assert answering() == {"same": "The same.", "changed": "The new.", "added": "The added."}
    assert (versions("same"), versions("changed"), versions("added")) == (1, 2, 1)
    receipt = Receipt.objects.get(object=f"document:{gone.id}")
    documents.erase(receipt.id, index)
    receipt.refresh_from_db()
    assert (receipt.state, receipt.removed["points"]) == ("done", 1)
    assert not Document.objects.filter(pk=gone.pk).exists()


def test_failed_new_version_removes_nothing(pack: Pack, parsers: FakeContainers, index: FakeIndex) -> None:
    pack(a="The first.", b="The second.")
    work()
    job = pack(a="The first.")
    index.broken = True
    Job.objects.filter(pk=job.pk).update(attempts=environment().job_max_attempts - 1)
    work()
    assert Job.objects.get(pk=job.pk).stage == Stage.FAILED
    assert answering() == {"a": "The first.", "b": "The second."}


def test_container_without_children_removes_previous_children(pack: Pack) -> None:
    pack(a="The first.")
    work()
    pack()
    work()
    assert answering() == {}


def test_children_of_a_failed_container_are_not_found(
    pack: Pack, index: FakeIndex, parsers: FakeContainers, admin: Principal
) -> None:
    job = pack(a="The first.", b=json.dumps({"c": "The third."}))
    parsers.before_part = lambda _place: setattr(index, "broken", True)
    Job.objects.filter(pk=job.pk).update(attempts=environment().job_max_attempts - 1)
    work()
    index.broken = False
    parsers.before_part = lambda _place: None
    work()
    assert container().status == "failed"
    assert not index.points
    child = Document.objects.with_versions().get(source_uri=f"{BASE}/a")
    assert child.status == "failed"
    alone = Job.objects.get(version=child.latest_version)
    with pytest.raises(Conflict, match="Retry that instead"):
        job_retry(job=alone, principal=admin)
    assert jobs_retry(principal=admin, jobs=[alone.pk]) == RetryResult(0, 1)
    job_retry(job=Job.objects.get(pk=job.pk), principal=admin)
    work()
    assert answering() == {"a": "The first.", "b": "It holds c."}
    assert Document.objects.get(source_uri=f"{BASE}/b/c").status == "ready"


def test_failed_version_changes_no_children(pack: Pack, index: FakeIndex) -> None:
    pack(a="The old.", b="The second.")
    work()
    job = pack(a="The new.", c="The third.")
    index.broken = True
    Job.objects.filter(pk=job.pk).update(attempts=environment().job_max_attempts - 1)
    work()
    index.broken = False
    work()
    assert answering() == {"a": "The old.", "b": "The second."}


def test_unavailable_child_does_not_stop_others(pack: Pack) -> None:
    pack(a="The first.", b=None, c="The third.")
    work()
    assert answering() == {"a": "The first.", "c": "The third."}
    shown = container().active_version
    assert shown is not None
    assert [warning.startswith("b: The file is damaged") for warning in shown.report["warnings"]] == [True]


def test_previously_available_child_stays_searchable(pack: Pack) -> None:
    pack(a="The first.")
    work()
    pack(a=None)
    work()
    assert answering() == {"a": "The first."}


def test_unreadable_child_fails_individually(pack: Pack) -> None:
    pack(a="", b="The second.")
    work()
    assert container().status == "ready"
    assert Document.objects.get(source_uri=f"{BASE}/a").status == "failed"
    assert answering() == {"b": "The second."}


def test_document_deleted_during_processing_leaves_nothing(
    pack: Pack, parsers: FakeContainers, index: FakeIndex, admin: Principal
) -> None:
    job = pack(a="The first.", b="The second.")
    receipts: list[Receipt] = []

    def delete(place: int) -> None:
        if place == 1:
            receipts.append(document_delete(document=container(), principal=admin))

    parsers.before_part = delete
    work()
    assert Job.objects.get(pk=job.pk).stage == Stage.CANCELLED
    assert not Document.objects.present().exists()
    documents.erase(receipts[0].id, index)
    assert not Document.objects.exists()
    assert not index.points
    assert default_storage.listdir("originals")[1] == []
    assert all(default_storage.listdir(f"originals/{folder}")[1] == [] for folder in _folders("originals"))


def _folders(name: str) -> list[str]:
    return list(default_storage.listdir(name)[0])


def test_newer_of_two_concurrent_versions_is_used(pack: Pack, parsers: FakeContainers) -> None:
    pack(a="The old.", b="The old.", c="The old.")

    def overtake(place: int) -> None:
        parsers.before_part = lambda _place: None
        newer = pack(a="The new.", b="The new.")
        lease = lifecycle.claim(newer.id)
        assert lease is not None
        run.process(lease)

    parsers.before_part = overtake
    work()
    assert answering() == {"a": "The new.", "b": "The new."}
    assert not Document.objects.filter(source_uri=f"{BASE}/c").exists()


def test_unreadable_newer_version_does_not_stop_an_older_one(pack: Pack, parsers: FakeContainers) -> None:
    pack(a="The old.", b="The old.")

    def overtake(_place: int) -> None:
        parsers.before_part = lambda _place: None
        parsers.failure = DocumentRejected(Rejection.DAMAGED_FILE, "It is damaged.")
        newer = replaced("not a container")
        lease = lifecycle.claim(newer.id)
        assert lease is not None
        run.process(lease)
        parsers.failure = None

    parsers.before_part = overtake
    work()
    assert answering() == {"a": "The old.", "b": "The old."}


def replaced(text: str) -> Job:
    """The container by other bytes; the job."""
    document = container()
    assert document.owner is not None
    found = document_submit(
        Upload(ContentFile(text.encode()), BASE),
        knowledge_base=document.knowledge_base,
        principal=principal_for_user(document.owner),
    )
    assert found.job is not None
    return found.job


def test_cancelling_ends_children_and_a_retry_resumes_them(
    pack: Pack, parsers: FakeContainers, admin: Principal
) -> None:
    job = pack(a="The first.", b="The second.", c="The third.")

    def cancel(place: int) -> None:
        if place == 1:
            parsers.before_part = lambda _place: None
            job_cancel(job=Job.objects.get(pk=job.pk), principal=admin)

    parsers.before_part = cancel
    work()
    assert set(Job.objects.values_list("stage", flat=True)) == {Stage.CANCELLED}
    assert not Document.objects.filter(source_uri=f"{BASE}/b").exists()
    job_retry(job=Job.objects.get(pk=job.pk), principal=admin)
    work()
    assert answering() == {"a": "The first.", "b": "The second.", "c": "The third."}


def test_files_of_an_archive_are_one_import(pack: Pack, parsers: FakeContainers) -> None:
    parsers.media_type = formats.ZIP
    job = pack(a="The first.", b=None, c="The third.")
    work()
    batch = Import.objects.get()
    assert (batch.container_id, batch.expected) == (job.version_id, 3)
    counted = summary(batch)
    assert (counted.ready, counted.refused, counted.files, counted.over) == (2, 1, 3, True)
    refused = batch.items.get(outcome=Outcome.REFUSED)
    assert (refused.code, refused.source_uri) == ("damaged_file", f"{BASE}/b")
    pack(a="The first.")
    work()
    later = Import.objects.exclude(pk=batch.pk).get()
    outcomes = sorted(later.items.values_list("outcome", "source_uri"))
    assert outcomes == [("removed", f"{BASE}/c"), ("unchanged", f"{BASE}/a")]


def test_second_attempt_continues_the_same_import(pack: Pack, parsers: FakeContainers) -> None:
    parsers.media_type = formats.ZIP
    pack(a="The first.", b=None, c="The third.")

    def stop(place: int) -> None:
        if place == 2:
            raise RuntimeError("power failure")

    parsers.before_part = stop
    work()
    parsers.before_part = lambda _place: None
    again()
    counted = summary(Import.objects.get())
    assert (counted.ready, counted.refused, counted.files) == (2, 1, 3)


def test_cancelling_the_import_of_an_archive_stops_the_unpacking(
    pack: Pack, parsers: FakeContainers, admin: Principal
) -> None:
    parsers.media_type = formats.ZIP
    job = pack(a="The first.", b="The second.")

    def cancel(place: int) -> None:
        if place == 1:
            import_cancel(batch=Import.objects.get(), principal=admin)

    parsers.before_part = cancel
    work()
    assert Job.objects.get(pk=job.pk).stage == Stage.CANCELLED
    assert Job.objects.filter(stage=Stage.CANCELLED).count() == 2
    parsers.before_part = lambda _place: None
    job_retry(job=Job.objects.get(pk=job.pk), principal=admin)
    work()
    assert answering() == {"a": "The first.", "b": "The second."}


def test_archive_with_a_cancelled_import_is_not_unpacked_again(
    pack: Pack, parsers: FakeContainers, index: FakeIndex, admin: Principal
) -> None:
    parsers.media_type = formats.ZIP
    pack(a="The first.", b="The second.")
    index.broken = True
    work()
    import_cancel(batch=Import.objects.get(), principal=admin)
    index.broken = False
    again()
    assert container().status == "failed"
    assert answering() == {}
    counted = summary(Import.objects.get())
    assert (counted.state, counted.cancelled) == (ImportState.CANCELLED, 2)


@pytest.fixture
def mailed(base: KnowledgeBase, index: FakeIndex, parsers: FakeContainers, admin: Principal) -> Import:
    """An import of a mail that answers; what came in it, and in that, waits."""
    batch = import_open(knowledge_base=base, label="mails", user=admin.user)
    content = json.dumps({"a": "The first.", "b": json.dumps({"c": "The third."})}).encode()
    document_submit(Upload(ContentFile(content), BASE, batch=batch), knowledge_base=base, principal=admin)
    for source in (BASE, f"{BASE}/b"):
        run.run(Job.objects.get(version__document__source_uri=source).id)
    return batch


def stages() -> dict[str, str]:
    return dict(Job.objects.values_list("version__document__source_uri", "stage"))


def test_cancelling_an_import_cancels_children(mailed: Import, admin: Principal) -> None:
    import_cancel(batch=mailed, principal=admin)
    ended = {BASE: Stage.READY, f"{BASE}/a": Stage.CANCELLED}
    assert stages() == {**ended, f"{BASE}/b": Stage.READY, f"{BASE}/b/c": Stage.CANCELLED}


def test_cancelling_an_import_spares_children_of_a_newer_version(mailed: Import, admin: Principal) -> None:
    run.run(replaced(json.dumps({"a": "The newer."})).id)
    import_cancel(batch=mailed, principal=admin)
    work()
    assert answering() == {"a": "The newer."}


@pytest.mark.parametrize(("kind", "lane"), [(formats.EML, Lane.INTERACTIVE), (formats.ZIP, Lane.BULK)])
def test_archives_wait_behind_people_and_attachments_do_not(
    pack: Pack, parsers: FakeContainers, kind: str, lane: Lane
) -> None:
    parsers.media_type = kind
    pack(a="The first.")
    lease = lifecycle.claim_next(Lane.INTERACTIVE)
    assert lease is not None
    run.process(lease)
    assert Job.objects.get(version__document__parent=container()).lane == lane


def nested(depth: int) -> str:
    inner = "The kernel."
    for level in range(depth):
        inner = json.dumps({f"level {level}": inner})
    return inner


def test_nested_files_are_unpacked_to_a_depth(submit: Submit, index: FakeIndex, parsers: object) -> None:
    submit(nested(MAX_NESTING_DEPTH + 2), BASE)
    work()
    assert Document.objects.count() == 1 + MAX_NESTING_DEPTH
    deepest = Document.objects.get(children=None)
    assert deepest.status == "ready"
    assert deepest.active_version is not None
    assert "archives or emails" in deepest.active_version.report["warnings"][0]


def test_nested_files_are_counted_together(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_files, "MAX_FILES", 5)
    pack(a=json.dumps({"c": "c", "d": "d"}), b=json.dumps({"e": "e", "f": "f"}))
    work()
    assert Document.objects.exclude(parent=None).count() == 5
    refused = [
        version.report["warnings"]
        for version in DocumentVersion.objects.all()
        if version.report.get("warnings")
    ]
    assert [len(warnings) for warnings in refused] == [1]
    assert "more than 5 files" in refused[0][0]


def test_bytes_of_nested_files_are_counted_together(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_files, "MAX_BYTES", 150)
    pack(a=json.dumps({"c": "c" * 40}), b=json.dumps({"d": "d" * 40}))
    work()
    assert Document.objects.filter(source_uri__endswith="/c").exists()
    assert not Document.objects.filter(source_uri__endswith="/d").exists()


def test_other_document_of_the_same_source_is_unchanged(pack: Pack, submit: Submit) -> None:
    submit("My own.", source_uri=f"{BASE}/a")
    pack(a="The first.", b="The second.")
    work()
    assert answering() == {"b": "The second."}
    mine = Document.objects.get(source_uri=f"{BASE}/a")
    assert (mine.parent, mine.versions.count()) == (None, 1)


def test_upload_cannot_replace_a_child(pack: Pack, submit: Submit) -> None:
    pack(a="The first.")
    work()
    with pytest.raises(Conflict, match="part of an email or archive"):
        submit("My own.", source_uri=f"{BASE}/a")


def test_long_child_names_are_cut_and_stay_distinct(pack: Pack) -> None:
    pack(**{"x" * 1200 + "1.txt": "The first.", "x" * 1200 + "2.txt": "The second."})
    work()
    sources = list(Document.objects.exclude(parent=None).values_list("source_uri", flat=True))
    assert len(set(sources)) == 2
    assert all(len(source) <= 1000 and source.endswith(".txt") for source in sources)


def test_container_without_an_uploader_is_still_parsed(pack: Pack) -> None:
    pack(a="The first.")
    User.objects.all().delete()
    work()
    shown = container().active_version
    assert shown is not None
    assert "account" in shown.report["warnings"][0]


def test_readers_follow_the_container_and_reach_the_index(
    pack: Pack, index: FakeIndex, admin: Principal
) -> None:
    pack(a=json.dumps({"b": "The second."}))
    work()
    reader = f"user:{user_create(username='ada').id}"
    document_update(document=container(), principal=admin, changes={"readers": [reader]})
    told: dict[object, tuple[str, ...]] = {}
    index.before_write = lambda: told.update()
    index.set_fields = lambda document, *, readers, tags: told.update({document: tuple(readers)})  # type: ignore[method-assign]
    refresh_stale(container(), index)
    assert told == dict.fromkeys(Document.objects.values_list("id", flat=True), (reader,))
    assert not Document.objects.filter(index_stale=True).exists()


def test_embedded_file_can_be_restricted_but_not_opened_further(
    pack: Pack, base: KnowledgeBase, admin: Principal
) -> None:
    pack(a="The first.", b="The second.")
    work()
    ada, bob = user_create(username="ada"), user_create(username="bob")
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    child = Document.objects.get(source_uri=f"{BASE}/a")

    def readable(user: User) -> set[str]:
        found = documents_for(principal_for_user(user)).exclude(parent=None)
        return {row.source_uri.removeprefix(f"{BASE}/") for row in found}

    document_update(document=container(), principal=admin, changes={"readers": [f"user:{ada.id}"]})
    assert (readable(ada), readable(bob)) == ({"a", "b"}, set())
    document_update(document=child, principal=admin, changes={"readers": [f"user:{bob.id}"]})
    assert (readable(ada), readable(bob)) == ({"b"}, set())
    child.refresh_from_db()
    assert reader_tokens(child) == (f"user:{bob.id}",)
    document_update(document=child, principal=admin, changes={"readers": ["everyone"]})
    assert (readable(ada), readable(bob)) == ({"a", "b"}, set())


def test_child_stays_restricted_when_its_container_is_replaced(pack: Pack, admin: Principal) -> None:
    pack(a="The old.")
    work()
    child = Document.objects.get(source_uri=f"{BASE}/a")
    document_update(document=child, principal=admin, changes={"readers": []})
    pack(a="The new.")
    work()
    assert answering() == {"a": "The new."}
    child.refresh_from_db()
    assert child.narrowed


def test_readers_that_change_while_a_part_is_indexed_are_learnt_later(
    pack: Pack, index: FakeIndex, admin: Principal
) -> None:
    pack(a="The first.")
    lease = lifecycle.claim_next(Lane.INTERACTIVE)
    assert lease is not None
    run.process(lease)

    def narrow() -> None:
        index.before_write = lambda: None
        document_update(document=container(), principal=admin, changes={"readers": []})

    index.before_write = narrow
    work()
    assert Document.objects.get(source_uri=f"{BASE}/a").index_stale


def test_deleting_a_container_erases_its_children(pack: Pack, index: FakeIndex, admin: Principal) -> None:
    pack(a="The first.", b=json.dumps({"c": "The third."}))
    work()
    receipt = document_delete(document=container(), principal=admin)
    assert not Document.objects.present().exists()
    documents.erase(receipt.id, index)
    receipt.refresh_from_db()
    assert receipt.removed["points"] == receipt.removed["chunks"] == 4
    assert receipt.removed["files"] == 8
    assert not index.points
    assert not Document.objects.exists()


def test_erasure_waits_for_a_worker_on_a_child(pack: Pack, index: FakeIndex, admin: Principal) -> None:
    pack(a="The first.")
    work()
    job = Job.objects.get(version__document__parent=container())
    Job.objects.filter(pk=job.pk).update(
        stage=Stage.PARSING, lease=job.pk, lease_until=timezone.now() + LEASE
    )
    receipt = document_delete(document=container(), principal=admin)
    job.refresh_from_db()
    assert job.cancel_requested
    with pytest.raises(Exception, match="still processing this document"):
        documents.erase(receipt.id, index)
    Job.objects.update(lease=None, lease_until=None)
    documents.erase(receipt.id, index)
    assert not Document.objects.exists()


def test_child_can_be_deleted_individually(pack: Pack, index: FakeIndex, admin: Principal) -> None:
    pack(a="The first.", b="The second.")
    work()
    child = Document.objects.get(source_uri=f"{BASE}/a")
    documents.erase(document_delete(document=child, principal=admin).id, index)
    assert answering() == {"b": "The second."}
    assert container().status == "ready"


def test_deleting_a_knowledge_base_deletes_children(
    pack: Pack, index: FakeIndex, base: KnowledgeBase, admin: Principal
) -> None:
    pack(a="The first.", b=json.dumps({"c": "The third."}))
    work()
    receipt = knowledge_base_delete(knowledge_base=base, principal=admin)
    documents.erase(receipt.id, index)
    receipt.refresh_from_db()
    assert (receipt.removed["points"], receipt.removed["files"]) == (4, 8)
    assert not index.points
    assert not Document.objects.exists()
