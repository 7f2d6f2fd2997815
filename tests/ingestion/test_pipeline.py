"""The pipeline from a submitted file to a searchable version, with its failures."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.accounts.services import user_create
from cairn.errors import DocumentRejected, NotFound, Rejection, Unavailable
from cairn.library.models import Chunk, Document, DocumentVersion, VersionState
from cairn.settings import environment
from ingestion.documents.services import document_delete, document_update, knowledge_base_delete
from ingestion.erasure import documents
from ingestion.indexing.cleanup import refresh_index
from ingestion.indexing.points import embedding_text
from ingestion.jobs import lifecycle, sweeper
from ingestion.jobs.services import job_cancel
from ingestion.models import Job, Receipt, Stage
from ingestion.parse.page_images import page_picture, picture_names
from ingestion.pipeline import run
from retrieval import engine as engines
from retrieval.engine import Engine
from retrieval.models import Citation, Conversation, Message
from retrieval.suggestions.models import Suggestion
from tests.fakes import FakeChat, FakeEmbedder
from tests.ingestion.conftest import Submit
from tests.ingestion.parts import FakeIndex, FakeParsers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def parts() -> Iterator[Engine]:
    with engines.use(Engine(FakeEmbedder(), FakeIndex(), FakeChat())) as given:
        yield given


@pytest.fixture
def index(parts: Engine) -> FakeIndex:
    assert isinstance(parts.index, FakeIndex)
    return parts.index


@pytest.fixture
def embedder(parts: Engine) -> FakeEmbedder:
    assert isinstance(parts.embedder, FakeEmbedder)
    return parts.embedder


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> FakeParsers:
    fake = FakeParsers()
    monkeypatch.setattr("ingestion.parse.parser_pool._pool", fake)
    return fake


@pytest.fixture
def job(submit: Submit, index: FakeIndex, parsers: FakeParsers) -> Job:
    return made(submit, "The first line.\nThe second line.")


def made(submit: Submit, text: str) -> Job:
    job = submit(text).job
    assert job is not None
    return job


def long(word: str) -> str:
    """A passage of its own."""
    return " ".join(f"{word}{number}" for number in range(150))


def reread(job: Job) -> Job:
    return Job.objects.select_related("version__document").get(pk=job.pk)


def answering_versions(index: FakeIndex) -> set[uuid.UUID]:
    return {point.version for point in index.points.values()}


def test_uploaded_file_becomes_searchable(job: Job, index: FakeIndex) -> None:
    run.run(job.id)
    done = reread(job)
    assert done.stage == Stage.READY
    assert done.version.document.title == "The first line."
    assert done.version.chunk_count == Chunk.objects.count() == len(index.points) > 0
    assert default_storage.exists(done.version.rendition)


def test_repeated_job_changes_nothing(job: Job, index: FakeIndex) -> None:
    run.run(job.id)
    points, chunks = set(index.points), set(Chunk.objects.values_list("id", flat=True))
    Job.objects.update(stage=Stage.QUEUED)
    run.run(job.id)
    assert set(index.points) == points == chunks == set(Chunk.objects.values_list("id", flat=True))


def test_token_counting_stops_when_its_job_is_interrupted(
    submit: Submit, parsers: FakeParsers, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some texts at a time, and not all that are left."""
    count, calls = embedder.count_tokens, list[int]()

    def counted(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        lifecycle.stopping.set()
        return count(texts)

    monkeypatch.setattr(embedder, "count_tokens", counted)
    job = made(submit, "\n".join(f"Line {number}." for number in range(5000)))
    try:
        run.run(job.id)
    finally:
        lifecycle.stopping.clear()
    assert len(calls) == 1
    assert (reread(job).stage, Chunk.objects.count()) == (Stage.QUEUED, 0)


def test_replaced_version_leaves_no_chunks_or_points(submit: Submit, job: Job, index: FakeIndex) -> None:
    run.run(job.id)
    newer = made(submit, "Other words.")
    run.run(newer.id)
    assert answering_versions(index) == {newer.version_id}
    assert set(Chunk.objects.values_list("version", flat=True)) == {newer.version_id}


def test_suggestions_come_from_the_active_version(
    submit: Submit, parsers: FakeParsers, index: FakeIndex
) -> None:
    older = made(submit, "Old\n# Old rules\nwords")

    def overtake() -> None:
        parsers.while_parsing = lambda: None
        run.run(made(submit, "New\n# New rules\nwords").id)

    parsers.while_parsing = overtake
    run.run(older.id)
    assert [one.question for one in Suggestion.objects.all()] == ["What should I know about New rules?"]


@pytest.mark.parametrize("lost", ["nothing", "points", "title"])
def test_only_changed_chunks_are_embedded(
    submit: Submit, index: FakeIndex, embedder: FakeEmbedder, parsers: FakeParsers, lost: str
) -> None:
    """Each line is a passage of its own, and all have the title before them."""
    lines = [long(word) for word in ("leave", "travel", "leave")]
    run.run(made(submit, "\n".join(["Rules", *lines])).id)
    before = sum(embedder.batches)
    if lost == "points":
        index.points.clear()
    changed = ["Ways" if lost == "title" else "Rules", lines[0], "Trains are booked by the desk. " * 30]
    newer = made(submit, "\n".join([*changed, lines[2]]))
    run.run(newer.id)
    chunks = Chunk.objects.filter(version=newer.version)
    assert sum(embedder.batches) - before == (1 if lost == "nothing" else chunks.count())
    assert set(index.points) == {chunk.id for chunk in chunks}
    for chunk in chunks:
        expected = embedder.embed_documents([embedding_text(chunk)])[0]
        np.testing.assert_allclose(index.points[chunk.id].dense, expected)


def test_unavailable_index_is_not_reported_as_the_embedding_model(
    submit: Submit, index: FakeIndex, parsers: FakeParsers
) -> None:
    run.run(made(submit, f"Rules\n{long('leave')}").id)
    newer = made(submit, f"Rules\n{long('leave')}\n{long('travel')}")
    index.broken = True
    run.run(newer.id)
    assert reread(newer).last_error == "Unavailable while indexing"


def test_old_version_is_active_until_the_switch(submit: Submit, job: Job, index: FakeIndex) -> None:
    run.run(job.id)
    newer = made(submit, "Other words.")
    seen: list[set[uuid.UUID]] = []

    def look() -> None:
        active = Chunk.objects.active().values_list("version", flat=True)
        seen.append(set(active))

    index.before_write = look
    run.run(newer.id)
    assert seen == [{job.version_id}]
    assert set(Chunk.objects.active().values_list("version", flat=True)) == {newer.version_id}


def test_failed_new_version_leaves_the_old_one_active(
    submit: Submit, job: Job, index: FakeIndex, parsers: FakeParsers
) -> None:
    run.run(job.id)
    newer = made(submit, "Other words.")
    parsers.failure = DocumentRejected(Rejection.DAMAGED_FILE, "It is damaged.")
    run.run(newer.id)
    document = reread(newer).version.document
    assert document.status == "ready"
    assert document.pending_version is not None
    assert document.pending_version.error_code == "damaged_file"
    assert answering_versions(index) == {job.version_id}


def test_rejected_file_has_a_code_and_is_not_searchable(
    job: Job, index: FakeIndex, parsers: FakeParsers
) -> None:
    parsers.failure = DocumentRejected(Rejection.PASSWORD_PROTECTED, "Remove the password.")
    run.run(job.id)
    version = reread(job).version
    assert (version.state, version.error_code) == (VersionState.FAILED, "password_protected")
    assert not index.points
    assert not Chunk.objects.exists()


def test_file_without_text_fails(submit: Submit, index: FakeIndex, parsers: FakeParsers) -> None:
    job = made(submit, "")
    run.run(job.id)
    assert reread(job).version.error_code == "no_text"


@pytest.mark.parametrize(("part", "code"), [("embedder", "embedding_failed"), ("index", "index_unavailable")])
def test_unavailable_backend_is_retried_and_then_named(
    job: Job, index: FakeIndex, embedder: FakeEmbedder, part: str, code: str
) -> None:
    broken: FakeIndex | FakeEmbedder = index if part == "index" else embedder
    broken.broken = True
    for attempt in range(environment().job_max_attempts):
        assert reread(job).stage == Stage.QUEUED, attempt
        run.run(job.id)
        Job.objects.update(not_before=None)
    assert reread(job).version.error_code == code


def test_recovered_backend_is_used(job: Job, index: FakeIndex) -> None:
    index.broken = True
    run.run(job.id)
    index.broken = False
    Job.objects.update(not_before=None)
    run.run(job.id)
    assert reread(job).stage == Stage.READY


def test_unexpected_error_does_not_end_the_worker(job: Job, parsers: FakeParsers) -> None:
    parsers.failure = RuntimeError("a bug")
    run.run(job.id)
    assert reread(job).stage == Stage.QUEUED
    assert reread(job).not_before is not None


def test_ending_process_returns_its_job(job: Job, parsers: FakeParsers) -> None:
    parsers.while_parsing = lifecycle.stopping.set
    try:
        run.run(job.id)
    finally:
        lifecycle.stopping.clear()
    row = reread(job)
    assert (row.stage, row.attempts, row.lease) == (Stage.QUEUED, 0, None)
    parsers.while_parsing = lambda: None
    run.run(job.id)
    assert reread(job).stage == Stage.READY


def test_document_deleted_during_indexing_leaves_nothing(
    job: Job, index: FakeIndex, admin: Principal
) -> None:
    document = job.version.document
    receipts: list[Receipt] = []

    def delete() -> None:
        index.before_write = lambda: None
        receipts.append(document_delete(document=Document.objects.get(pk=document.pk), principal=admin))
        with pytest.raises(Unavailable):
            documents.erase(receipts[0].id, index)

    index.before_write = delete
    run.run(job.id)
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    documents.erase(receipts[0].id, index)
    assert not index.points
    assert not Document.objects.exists()


def test_job_cancelled_in_its_last_step_is_not_searchable(
    job: Job, index: FakeIndex, admin: Principal
) -> None:
    def cancel() -> None:
        job_cancel(job=reread(job), principal=admin)

    index.before_write = cancel
    run.run(job.id)
    done = reread(job)
    assert (done.stage, done.version.error_code) == (Stage.CANCELLED, "cancelled")
    assert done.version.document.active_version is None
    assert not index.points


def test_erasure_removes_everything_with_a_receipt(job: Job, index: FakeIndex, admin: Principal) -> None:
    run.run(job.id)
    document = reread(job).version.document
    chunk = Chunk.objects.first()
    assert chunk is not None
    conversation = Conversation.objects.create(user_id=admin.user, title="t")
    message = Message.objects.create(conversation=conversation, question="q", answer="The first line. [1]")
    Citation.objects.create(
        message=message, marker=1, document=document, version=job.version_id, chunk=chunk.id, quote="first"
    )
    receipt = document_delete(document=document, principal=admin)
    documents.erase(receipt.id, index)
    receipt.refresh_from_db()
    assert receipt.state == "done"
    assert receipt.verified_at is not None
    assert receipt.removed["points"] == receipt.removed["chunks"] == 1
    assert (receipt.removed["files"], receipt.removed["quotes"]) == (2, 1)
    assert not index.points
    assert not DocumentVersion.objects.exists()
    assert default_storage.listdir("originals")[1] == []
    message.refresh_from_db()
    assert "first line" not in message.answer


def test_erasing_a_knowledge_base_erases_its_documents(
    submit: Submit, job: Job, index: FakeIndex, admin: Principal
) -> None:
    run.run(job.id)
    base = reread(job).version.document.knowledge_base
    receipt = knowledge_base_delete(knowledge_base=base, principal=admin)
    documents.erase(receipt.id, index)
    receipt.refresh_from_db()
    assert receipt.state == "done"
    assert not index.points
    assert not Document.objects.exists()


def test_sweeper_removes_leftovers(submit: Submit, job: Job, index: FakeIndex) -> None:
    run.run(job.id)
    kept = dict(index.points)
    chunk = Chunk.objects.get()
    newer = made(submit, "Other words.")
    run.run(newer.id)
    chunk.save(force_insert=True)
    index.points.update(kept)
    assert sweeper.sweep_leftovers(index) == 1
    assert answering_versions(index) == {newer.version_id}
    assert not Chunk.objects.filter(pk=chunk.pk).exists()
    assert sweeper.sweep_leftovers(index) == 0


def test_changed_readers_reach_the_index(job: Job, index: FakeIndex, admin: Principal) -> None:
    run.run(job.id)
    user = user_create(username="ada")
    document = reread(job).version.document
    document_update(document=document, principal=admin, changes={"readers": [f"user:{user.id}"]})
    index.broken = True
    with pytest.raises(Unavailable):
        refresh_index(Document.objects.get(), index)
    assert Document.objects.get().index_stale, "so that the sweeper tries again"
    index.broken = False
    refresh_index(Document.objects.get(), index)
    assert index.fields == {document.id: ((f"user:{user.id}",), ())}
    assert not Document.objects.get().index_stale


def test_readers_changed_during_an_index_refresh_are_indexed_next_time(
    job: Job, index: FakeIndex, admin: Principal
) -> None:
    run.run(job.id)
    document = reread(job).version.document
    document_update(document=document, principal=admin, changes={"readers": []})

    def widen() -> None:
        index.before_write = lambda: None
        later = Document.objects.get()
        document_update(document=later, principal=admin, changes={"readers": ["everyone"]})

    index.before_write = widen
    refresh_index(Document.objects.get(), index)
    assert Document.objects.get().index_stale
    refresh_index(Document.objects.get(), index)
    assert index.fields == {document.id: (("kb",), ())}
    assert not Document.objects.get().index_stale


def test_page_pictures_are_rendered_once(job: Job, parsers: FakeParsers) -> None:
    run.run(job.id)
    version = reread(job).version
    version.media_type, version.pages = "application/pdf", 2
    first = page_picture(version, 1)
    parsers.render_page = lambda *_args, **_said: b"drawn again"  # type: ignore[method-assign]
    assert page_picture(version, 1) == first


def test_page_picture_of_a_document_deleted_while_rendering_is_not_stored(
    job: Job, parsers: FakeParsers, admin: Principal
) -> None:
    run.run(job.id)
    version = reread(job).version
    version.media_type, version.pages = "application/pdf", 1

    def drawn(*_args: object, **_said: object) -> bytes:
        document_delete(document=version.document, principal=admin)
        return b"a page"

    parsers.render_page = drawn  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        page_picture(version, 1)
    assert picture_names(version.id) == []
