"""Changes to documents during a rebuild and after a swap reach both generations."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from cairn.access.models import Role
from cairn.errors import Unavailable
from cairn.library.models import Document
from ingestion.erasure import documents
from ingestion.failpoints import Fault
from ingestion.indexing.cleanup import refresh_index
from ingestion.jobs.lifecycle import stopping
from ingestion.models import Job, Lane, Receipt, ReceiptState, Stage
from ingestion.pipeline import run
from ingestion.reindexing import build, runner
from ingestion.reindexing.all_generations import AllGenerations
from ingestion.reindexing.throttle import yield_to_users
from retrieval.engine import get_engine
from retrieval.index.generations import active
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.models import (
    Conversation,
    GenerationState,
    IndexedVersion,
    IndexGeneration,
    Message,
    MessageState,
)
from tests.web.api.conftest import Caller
from tests.web.api.reindexing.install import Generations

pytestmark = pytest.mark.django_db
LONG = [f"Paragraph {number}: " + "words of some length " * 40 for number in range(150)]


def once(act: Callable[[], None]) -> Callable[[], None]:
    acts = [act]
    return lambda: acts.pop()() if acts else None


def switched(install: Generations, during: Callable[[], None]) -> None:
    """`during` happens before the first batch is embedded; then the other model answers."""
    install.other.before = during
    install.reindex()
    install.swap()
    assert get_engine().embedder is install.other
    install.assert_index_is_what_sql_says()


def test_document_added_during_reindex_is_in_the_new_index(install: Generations) -> None:
    install.add("otter.txt", "The otter swims.")
    switched(install, lambda: install.add("badger.txt", "The badger digs.") and None)
    assert sorted(install.found("who digs")) == ["badger.txt", "otter.txt"]


def test_document_replaced_during_reindex_has_only_its_new_text(install: Generations) -> None:
    install.add("otter.txt", "The otter swims.")
    install.add("zebra.txt", "The zebra runs.")
    switched(install, lambda: install.add("otter.txt", "The otter sleeps.") and None)
    hits = install.admin.post("/search", {"query": "otter"}).json()["results"]
    assert [hit["text"] for hit in hits if hit["source_uri"] == "otter.txt"] == ["The otter sleeps."]


def test_document_deleted_during_reindex_is_not_in_the_new_index(
    install: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not written even for the moment until the next pass: the receipt is there already."""
    otter = install.add("otter.txt", "The otter swims.")
    badger = install.add("badger.txt", "The badger digs.")
    receipts, written = list[Receipt](), list[UUID]()
    monkeypatch.setattr(
        EdgeIndex, "upsert", lambda _index, points: written.extend(p.document for p in points)
    )
    switched(install, lambda: receipts.extend(map(install.delete, (otter, badger))))
    assert written == []
    for receipt in receipts:
        receipt.refresh_from_db()
    assert [receipt.state for receipt in receipts] == [ReceiptState.DONE] * 2
    assert install.found("otter badger") == []
    assert not IndexedVersion.objects.filter(generation__state=GenerationState.ACTIVE).exists()


def test_deleting_a_document_deletes_it_from_both_generations(install: Generations) -> None:
    """The erasure reaches the generation that isn't searched yet."""
    otter = install.add("otter.txt", "The otter swims.")
    install.add("badger.txt", "The badger digs.")
    install.reindex()
    assert install.index_of(GenerationState.READY).count(document=otter.id) == 1
    assert install.delete(otter).removed["points"] == 2
    assert install.index_of(GenerationState.READY).count(document=otter.id) == 0
    install.swap()
    assert install.found("otter badger") == ["badger.txt"]


def test_readers_and_tags_changed_during_reindex_apply_after_the_swap(
    install: Generations, rob: Caller, mia: Caller
) -> None:
    install.add("otter.txt", "The otter swims.")
    install.add("badger.txt", "The badger digs.")
    otter = Document.objects.get(source_uri="otter.txt")
    install.grant(rob, Role.READER)
    switched(
        install,
        lambda: install.change(otter, readers=[f"user:{mia.user.id}"], metadata={"tags": ["river"]}),
    )
    assert install.found_by(rob, "animals") == ["badger.txt"]
    assert install.found_by(mia, "animals", tags=["river"]) == ["otter.txt"]
    install.change(otter, readers=None)
    assert sorted(install.found_by(rob, "animals")) == ["badger.txt", "otter.txt"]


def test_readers_changed_after_reindex_apply_after_swap_and_rollback(
    install: Generations, rob: Caller
) -> None:
    otter = install.add("otter.txt", "The otter swims.")
    install.grant(rob, Role.READER)
    install.change(otter, readers=[])
    install.reindex()
    install.change(otter, readers=None)
    install.swap()
    assert install.found_by(rob, "otter") == ["otter.txt"]
    install.change(otter, readers=[])
    install.rollback()
    install.change(otter, readers=None)
    install.rollback()
    assert install.found_by(rob, "otter") == ["otter.txt"]


def test_rollback_restores_no_deleted_document_and_misses_none(install: Generations) -> None:
    otter = install.add("otter.txt", "The otter swims.")
    install.add("badger.txt", "The badger digs.")
    install.reindex()
    install.swap()
    receipt = install.delete(otter)
    assert receipt.state == ReceiptState.PENDING
    runner.work_all()
    receipt.refresh_from_db()
    assert receipt.state == ReceiptState.DONE
    assert install.index_of(GenerationState.RETIRED).count(document=otter.id) == 0
    install.add("badger.txt", "The badger sleeps.")
    install.add("zebra.txt", "The zebra runs.")
    install.rollback()
    assert get_engine().embedder is install.present
    assert sorted(install.found("animals")) == ["badger.txt", "zebra.txt"]
    install.assert_index_is_what_sql_says()


def test_document_added_just_before_the_swap_is_in_both_generations(
    install: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.add("otter.txt", "The otter swims.")
    install.reindex()
    come = once(lambda: install.add("zebra.txt", "The zebra runs.") and None)
    monkeypatch.setattr(build, "fault_point", lambda fault: fault == Fault.REINDEX_BEFORE_SWAP and come())
    install.swap()
    assert sorted(install.found("animals")) == ["otter.txt", "zebra.txt"]
    install.assert_index_is_what_sql_says()
    install.add("zebra.txt", "The zebra sleeps.")
    install.rollback()
    install.assert_index_is_what_sql_says()


def test_job_interrupted_by_a_swap_is_repeated(install: Generations) -> None:
    """Its points went to the generation that was active when it began."""
    install.add("otter.txt", "The otter swims.")
    install.reindex()
    answer = install.admin.upload(str(install.base.id), "badger.txt", b"The badger digs.")
    job = Job.objects.get(pk=answer.json()["job"]["id"])
    install.parsers.while_parsing = once(install.swap)
    run.run(job.id)
    job.refresh_from_db()
    assert (job.stage, job.attempts) == (Stage.QUEUED, 0)
    assert install.index_of(GenerationState.RETIRED).count(version=job.version_id) == 0
    run.run(job.id)
    assert sorted(install.found("animals")) == ["badger.txt", "otter.txt"]
    install.assert_index_is_what_sql_says()


def test_index_refresh_interrupted_by_a_swap_is_repeated(install: Generations) -> None:
    otter = install.add("otter.txt", "The otter swims.")
    before = active()
    install.reindex()
    Document.objects.update(index_stale=True)
    install.swap()
    refresh_index(Document.objects.get(pk=otter.pk), before.index, before.generation)
    assert Document.objects.get(pk=otter.pk).index_stale


def test_erasure_waits_for_the_batch_being_written(install: Generations) -> None:
    otter = install.add("otter.txt", "The otter swims.")
    building = install.reindex()
    generation = IndexGeneration.objects.filter(pk=building.pk)
    generation.update(writing=otter.id, lease_until=timezone.now() + timedelta(minutes=1))
    install.admin.delete(f"/documents/{otter.id}")
    receipt = Receipt.objects.get()
    with pytest.raises(Unavailable):
        documents.erase(receipt.id, AllGenerations(active().index))
    assert install.index_of(GenerationState.READY).count(document=otter.id) == 1
    generation.update(lease_until=timezone.now() - timedelta(minutes=1))  # who wrote it has died
    documents.erase(receipt.id, AllGenerations(active().index))
    assert install.index_of(GenerationState.READY).count(document=otter.id) == 0


def test_interrupted_build_resumes(install: Generations) -> None:
    """The build is interrupted in the middle of a document."""
    install.add("long.txt", *LONG)
    total = Document.objects.get().active_version.chunk_count  # type: ignore[union-attr]
    assert total > 3 * 32

    def interrupt() -> None:
        def at_the_second() -> None:
            stopping.set()

        install.other.before = at_the_second

    install.other.before = interrupt
    try:
        install.reindex()
    finally:
        stopping.clear()
    written = IndexedVersion.objects.get().written
    assert 0 < written < total
    assert install.admin.get("/index").json()["generations"][1]["done"] == written
    runner.work_all()
    assert IndexedVersion.objects.get().written == total
    assert len(install.other.texts) <= total + 32, "what was written is not embedded again"
    install.swap()
    install.assert_index_is_what_sql_says()


def test_reindexing_yields_to_answers_and_uploads(install: Generations) -> None:
    told: list[bool] = []

    def keep(**changes: bool) -> None:
        told.extend(changes.values())

    yield_to_users(keep, longest=0.3)
    assert told == []
    thread = Conversation.objects.create(user=install.admin.user, title="?")
    message = Message.objects.create(conversation=thread, question="?")
    yield_to_users(keep, longest=0.3)
    assert told == [True, False]
    Message.objects.update(created_at=timezone.now() - timedelta(hours=1))  # left by a process that died
    yield_to_users(keep, longest=0.3)
    assert told == [True, False]
    Message.objects.filter(pk=message.pk).update(state=MessageState.DONE, created_at=timezone.now())
    install.admin.upload(str(install.base.id), "a.txt", b"Words.")
    yield_to_users(keep, longest=0.3)
    assert told == [True, False] * 2
    Job.objects.update(lane=Lane.BULK)
    yield_to_users(keep, longest=0.3)
    assert told == [True, False] * 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_concurrent_questions_use_the_model_of_their_generation(install: Generations) -> None:
    """A vector of one model has another length than those of the other: a mix would be an error."""
    for name in ("otter", "badger", "zebra"):
        install.add(f"{name}.txt", f"The {name} sleeps.")
    over, answers, errors = threading.Event(), list[list[str]](), list[str]()

    def ask() -> None:
        try:
            while not over.is_set():
                answers.append(install.found("who sleeps"))
        except AssertionError as error:
            errors.append(str(error))
        finally:
            connection.close()

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        install.reindex()
        install.swap()
        for _ in range(4):
            install.rollback()
            seen = len(answers)
            while len(answers) < seen + 8 and not errors:
                time.sleep(0.01)
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert errors == []
    assert all(len(answer) == 3 for answer in answers)
    assert install.other.queries.count("who sleeps") > 4 < install.present.queries.count("who sleeps")
