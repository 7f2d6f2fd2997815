"""Rewriting a generation of the index: nothing of erased documents stays, nothing else is lost."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
from django.db.models import F

from cairn.errors import Unavailable
from ingestion.erasure.documents import erase
from ingestion.erasure.receipts import waiting_for
from ingestion.models import Receipt, ReceiptState
from ingestion.reindexing import index_rewrite, runner
from ingestion.reindexing.all_generations import AllGenerations
from ingestion.reindexing.lease import claim
from retrieval.index.backends import index_backend
from retrieval.index.generations import active, close_index, new_name, open_indexes
from retrieval.index.protocol import Point
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.index.relocatable import Place as IndexPlace
from retrieval.index.relocatable import PlacedIndex
from retrieval.index.word_hashes import apply_word_key
from retrieval.models import GenerationState, IndexGeneration
from tests.disks import small_disk
from tests.fakes import FakeEmbedder
from tests.indexes import own_indexes
from tests.retrieval.index.points import DIMENSION, ask, found, point, words

pytestmark = pytest.mark.django_db
MARK = "cobalt-heron"
RARE = 4711  # a word of few points


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of the data, and the index that answers."""

    folder: Path

    @property
    def index(self) -> PlacedIndex:
        return active().index

    @property
    def row(self) -> IndexGeneration:
        return active().generation


@pytest.fixture(params=["edge", "server"])
def index_place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qdrant_url: str
) -> Iterator[Place]:
    url = qdrant_url if request.param == "server" else None
    yield from _placed(tmp_path, url, monkeypatch)


@pytest.fixture
def edge_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    yield from _placed(tmp_path, None, monkeypatch)


def _placed(folder: Path, url: str | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    embedder = FakeEmbedder(model="words-1", dimension=DIMENSION)
    with own_indexes(monkeypatch, folder, embedder=embedder, url=url):
        yield Place(folder)


def _due() -> None:
    IndexGeneration.objects.update(remains=F("remains") + 1)


def _remains(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_rewrite_removes_deleted_points_and_preserves_results(index_place: Place) -> None:
    kept = point(sparse=words(RARE), tags=("plain",))
    gone = point(sparse=words(RARE), tags=(MARK,), source_uri=f"{MARK}.pdf")
    index_place.index.upsert([kept, gone, *(point() for _ in range(200))])
    before = index_place.index.count()
    assert {each.id for each in ask(index_place.index, sparse=words(RARE)).sparse} == {kept.id, gone.id}
    index_place.index.delete_document(gone.document)
    _due()
    first = index_place.row.name
    runner.work_all()
    assert index_place.row.rewritten == index_place.row.remains == 1
    assert index_place.index.count() == before - 1
    assert [each.id for each in ask(index_place.index, sparse=words(RARE)).sparse] == [kept.id]
    assert _remains(index_place.folder, MARK) == []
    assert index_place.row.place not in {"", first}
    with pytest.raises(Unavailable):
        index_backend().open(first, DIMENSION)


def test_rewrite_copies_vectors_fields_and_words_unchanged(index_place: Place) -> None:
    points = [point(sparse=words(n, n + 1), tags=(f"t{n}",)) for n in range(1, 151)]
    index_place.index.upsert([*points, replace(point(), sparse=words())])
    before = _contents(index_place)
    _due()
    runner.work_all()
    assert _contents(index_place) == before
    assert len(before) == 151


def _contents(place: Place) -> list[object]:
    name = place.row.place or place.row.name
    page = place.index.store(name).read_page(None, limit=1000)
    assert page.following is None
    return sorted(page.points, key=lambda each: each.id)  # type: ignore[return-value]


def test_unkeyed_word_hashes_get_a_key_and_are_found_as_before(index_place: Place) -> None:
    mine = point(sparse=words(77))
    active()
    open_indexes.close(index_place.row.id)
    IndexGeneration.objects.update(word_key=b"")
    close_index()
    index_place.index.upsert([mine])
    store = index_place.index.store(index_place.row.name)
    assert store.read_points([mine.id])[mine.id].sparse == words(77), "as an earlier version wrote it"
    runner.work_all()
    key = bytes(index_place.row.word_key)
    assert len(key) == 32
    stored = index_place.index.store(index_place.row.place).read_points([mine.id])[mine.id].sparse
    assert stored == apply_word_key(words(77), key) != words(77)
    close_index()
    assert [each.id for each in ask(index_place.index, sparse=words(77)).sparse] == [mine.id]
    assert ask(index_place.index, sparse=words(78)).sparse == []


@pytest.mark.slow
def test_writes_during_a_rewrite_reach_the_copy(edge_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers change, delete and add points all the time; in the end the copy is what they wrote."""
    place = edge_place
    points = {each.id: each for each in (point() for _ in range(1500))}
    place.index.upsert(list(points.values()))
    _due()
    index, over, first = place.index, threading.Event(), place.row.name
    writers = [
        threading.Thread(target=_write_on, args=(index, list(points.values())[n::3], over)) for n in range(3)
    ]
    for writer in writers:
        writer.start()
    runner.work_all()
    _due()
    runner.work_all()
    over.set()
    for writer in writers:
        writer.join()
    assert place.row.place not in {"", first}
    assert place.row.rewritten == 2
    left = index.count()
    close_index()
    assert place.index.count() == left
    assert _fields(place) == {each.document: "changed" for each in points.values() if _is_changed(each)} | {
        each.document: "added" for each in _added
    }


_added: list[Point] = []


def _is_changed(each: Point) -> bool:
    return each.id.int % 2 == 0


def _write_on(index: PlacedIndex, own: list[Point], over: threading.Event) -> None:
    for each in own:
        if _is_changed(each):
            index.set_fields(each.document, readers=each.readers, tags=("changed",))
        else:
            index.delete_document(each.document)
        if each.id.int % 10 == 1:
            _added.append(new := point(tags=("added",)))
            index.upsert([new])


def _fields(place: Place) -> dict[UUID, str]:
    name = place.row.place or place.row.name
    points = place.index.store(name).read_page(None, limit=10_000).points
    return {UUID(str(each.payload["document"])): str(each.payload["tags"][0]) for each in points}  # type: ignore[index]


def test_every_generation_is_rewritten_before_the_receipt_is_done(edge_place: Place) -> None:
    gone = point(tags=(MARK,))
    edge_place.index.upsert([gone, point()])
    others = [_another(state, gone) for state in ("building", "retired")]
    _remember_removal(others, gone)
    receipt = Receipt.objects.create(object=f"document:{gone.document}")
    erase(receipt.id, AllGenerations(edge_place.index))
    AllGenerations(edge_place.index).delete_document(gone.document)
    receipt.refresh_from_db()
    assert receipt.state == ReceiptState.PENDING
    assert "rewritten" in waiting_for(receipt)
    assert _remains(edge_place.folder, MARK), "deleted points stay in the files until then"
    for n in range(3):
        lease = claim()
        assert lease is not None, f"generation {n}"
        assert lease.rewriting
        assert _state(receipt) == ReceiptState.PENDING
        runner._run_lease(lease)
    assert _state(receipt) == ReceiptState.DONE
    assert waiting_for(Receipt.objects.get()) == ""
    assert _remains(edge_place.folder, MARK) == []


def _remember_removal(rows: list[IndexGeneration], gone: Point) -> None:
    """Builds and swaps are not what this is about."""
    for row in rows:
        IndexGeneration.objects.filter(pk=row.pk).update(error="put aside")
        assert open_indexes.of(row).count(document=gone.document) == 1


def _another(state: str, *points: Point) -> IndexGeneration:
    row = IndexGeneration.objects.create(
        name=new_name(), embedding_model="words-1", dimension=DIMENSION, state=state, encoder="words-1"
    )
    open_indexes.add(row, index_backend().create(row.name, DIMENSION)).upsert(points)
    return row


def _state(receipt: Receipt) -> str:
    return str(Receipt.objects.get(pk=receipt.pk).state)


def test_erasure_during_a_rewrite_requires_another_rewrite(edge_place: Place) -> None:
    """Its points may have been copied before they were deleted."""
    gone = point(tags=(MARK,))
    edge_place.index.upsert([gone])
    _due()
    lease = claim()
    assert lease is not None
    receipt = Receipt.objects.create(object=f"document:{gone.document}")
    reached = threading.Event()

    def meanwhile(*_: object) -> None:
        if not reached.is_set():
            reached.set()
            edge_place.index.delete_document(gone.document)
            erase(receipt.id, AllGenerations(edge_place.index))

    original = index_rewrite.fault_point
    index_rewrite.fault_point = meanwhile
    try:
        runner._run_lease(lease)
    finally:
        index_rewrite.fault_point = original
    assert reached.is_set()
    assert _state(receipt) == ReceiptState.PENDING
    runner.work_all()
    assert _state(receipt) == ReceiptState.DONE
    assert _remains(edge_place.folder, MARK) == []


def test_full_disk_leaves_the_old_index_active_and_is_in_the_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "small", megabytes=200) as disk:
        for place in _placed(disk.folder, None, monkeypatch):
            kept, gone = point(), point(tags=(MARK,))
            place.index.upsert([kept, gone])
            receipt = Receipt.objects.create(object=f"document:{gone.document}")
            place.index.delete_document(gone.document)
            with (disk.folder / "other").open("wb") as other:
                other.write(bytes(shutil.disk_usage(disk.folder).free - (70 << 20)))
            erase(receipt.id, AllGenerations(place.index))
            runner.work_all()
            receipt.refresh_from_db()
            assert receipt.state == ReceiptState.PENDING
            assert "free" in waiting_for(receipt)
            assert found(place.index) == {kept.id}
            assert len(list((disk.folder / "index").iterdir())) == 1
            (disk.folder / "other").unlink()
            IndexGeneration.objects.update(rewrite_after=None)
            runner.work_all()
            assert _state(receipt) == ReceiptState.DONE
            assert found(place.index) == {kept.id}
            assert _remains(disk.folder, MARK) == []


def test_interrupted_rewrite_is_removed_by_its_recorded_name(edge_place: Place) -> None:
    mine = point()
    edge_place.index.upsert([mine])
    index_backend().create("half-copied", DIMENSION).close()
    (edge_place.folder / "index" / "someone-elses").mkdir()
    IndexGeneration.objects.update(next_place="half-copied", copying=True)
    close_index()
    _due()
    runner.work_all()
    assert found(edge_place.index) == {mine.id}
    names = {path.name for path in (edge_place.folder / "index").iterdir()}
    assert names == {edge_place.row.place, "someone-elses"}


def test_failed_write_to_the_copy_does_not_fail_the_writer(edge_place: Place) -> None:
    mine = point()
    active()
    index = edge_place.index
    IndexGeneration.objects.update(next_place="lost", copying=True)
    index.move_to(replace(index.follow(), copy=IndexPlace("lost")))
    index.upsert([mine])
    assert found(index) == {mine.id}
    assert not IndexGeneration.objects.get().copying


def test_removed_generation_deletes_all_its_folders(edge_place: Place) -> None:
    active()
    row = _another("removing", point())
    index_backend().create("copy-of-it", DIMENSION).close()
    IndexGeneration.objects.filter(pk=row.pk).update(next_place="copy-of-it")
    assert len(list((edge_place.folder / "index").iterdir())) == 3
    runner.work_all()
    assert not IndexGeneration.objects.filter(state=GenerationState.REMOVING).exists()
    assert [path.name for path in (edge_place.folder / "index").iterdir()] == [edge_place.row.name]


def test_each_rewrite_gets_its_own_folder(edge_place: Place) -> None:
    active()
    seen = {edge_place.row.name}
    for _ in range(2):
        _due()
        runner.work_all()
        assert edge_place.row.place not in seen
        seen.add(edge_place.row.place)


def test_write_between_reading_and_writing_a_batch_is_not_lost(tmp_path: Path) -> None:
    """The write reached the copy before the batch did, so only another look at the source shows it."""
    source = EdgeIndex.create(tmp_path / "source", dimension=DIMENSION)
    target = EdgeIndex.create(tmp_path / "target", dimension=DIMENSION)
    changed, deleted, kept = point(tags=("old",)), point(), point()
    source.upsert([changed, deleted, kept])
    page = source.read_page(None, limit=10)
    for store in (source, target):
        store.set_fields(changed.document, readers=changed.readers, tags=("new",))
        store.delete_document(deleted.document)
    index_rewrite._copy_batch(page.points, source, target, b"")
    assert target.read_page(None, limit=10) == source.read_page(None, limit=10)
    assert set(target.read_points([changed.id, deleted.id, kept.id])) == {changed.id, kept.id}
    source.close()
    target.close()
