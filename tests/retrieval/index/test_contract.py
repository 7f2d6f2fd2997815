"""The contract of vector indexes, for every store."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient

from cairn.errors import Unavailable
from retrieval.index.filters import KNOWLEDGE_BASE, AnyOf
from retrieval.index.protocol import Filters, Sparse, VectorIndex
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.index.qdrant_server import ServerIndex
from tests.environment import GIVEN
from tests.retrieval.index.points import (
    DIMENSION,
    EAST,
    GROUP,
    KB,
    OTHER_KB,
    OTHER_WORD,
    USER,
    WORD,
    ask,
    direction,
    found,
    point,
    scope,
    words,
)

Adapter = EdgeIndex | ServerIndex


KINDS = ("edge", "server")


@contextmanager
def opened(kind: str, folder: Path, url: str) -> Iterator[Adapter]:
    if kind == "edge":
        shard = EdgeIndex.create(folder, dimension=DIMENSION)
        yield shard
        shard.close()
        return
    collection = f"cairn_test_{uuid4().hex}"
    client = QdrantClient(url=url, api_key=GIVEN["QDRANT_API_KEY"], check_compatibility=False)
    server = ServerIndex.create(client, collection, dimension=DIMENSION)
    yield server
    if not server._closed:
        client.delete_collection(collection)
        server.close()


@pytest.fixture(scope="module", params=KINDS)
def shared_index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, qdrant_url: str
) -> Iterator[Adapter]:
    with opened(request.param, tmp_path_factory.mktemp("edge") / "index", qdrant_url) as index:
        yield index


@pytest.fixture
def index(shared_index: Adapter) -> Adapter:
    """One index for all tests, since creating one writes much to the disk; each test gets it empty."""
    shared_index._delete(AnyOf.of(KNOWLEDGE_BASE, [KB, OTHER_KB]))
    assert shared_index.count() == 0
    return shared_index


@pytest.fixture(params=KINDS)
def closable_index(request: pytest.FixtureRequest, tmp_path: Path, qdrant_url: str) -> Iterator[Adapter]:
    """An index for a test that closes it."""
    with opened(request.param, tmp_path / "index", qdrant_url) as index:
        yield index


def test_both_halves_find_best_first(index: VectorIndex) -> None:
    near, far = point(dense=direction(1, 0.1)), point(dense=direction(1, 1), sparse=words(WORD, OTHER_WORD))
    index.upsert([far, near])
    candidates = ask(index, sparse=words(WORD, OTHER_WORD))
    assert [each.id for each in candidates.dense] == [near.id, far.id]
    assert [each.id for each in candidates.sparse] == [far.id, near.id]
    assert candidates.dense[1].score == pytest.approx(0.5**0.5, abs=1e-5)


def test_hit_found_only_by_words_has_its_cosine(index: VectorIndex) -> None:
    near, worded = point(sparse=words(OTHER_WORD)), point(dense=direction(0.2, 1))
    crowd = [point(dense=direction(1, 1), sparse=words(OTHER_WORD)) for _ in range(3)]
    index.upsert([near, worded, *crowd])
    candidates = ask(index, limit=1)
    assert [each.id for each in candidates.dense] == [near.id, worded.id]
    assert candidates.dense[1].score == pytest.approx(0.2 / 1.04**0.5, abs=1e-5)
    assert [each.id for each in candidates.sparse] == [worded.id]


def test_limit_applies_to_each_leg(index: VectorIndex) -> None:
    index.upsert([point() for _ in range(6)])
    candidates = ask(index, limit=2)
    assert 2 <= len(candidates.dense) <= 4
    assert ask(index, limit=0).dense == []


def test_repeated_upsert_replaces_the_point(index: VectorIndex) -> None:
    first = point(tags=("old",))
    index.upsert([first])
    index.upsert([replace(first, tags=("new",), dense=direction(0, 1)), point()])
    assert index.count() == 2
    assert found(index, filters=Filters(tags=("old",))) == set()
    assert found(index, filters=Filters(tags=("new",))) == {first.id}


def test_many_points_are_upserted_in_one_call(index: VectorIndex) -> None:
    index.upsert([point() for _ in range(600)])
    index.upsert([])
    assert index.count() == 600


def test_points_of_other_knowledge_bases_are_out_of_scope(index: VectorIndex) -> None:
    mine, theirs = point(), point(knowledge_base=OTHER_KB)
    index.upsert([mine, theirs])
    assert found(index) == {mine.id}
    assert found(index, scope(readable=[OTHER_KB])) == {theirs.id}
    assert found(index, scope(readable=[KB, OTHER_KB])) == {mine.id, theirs.id}


def test_restricted_points_require_one_of_their_readers(index: VectorIndex) -> None:
    everyones, anns, groups = point(), point(readers=(USER,)), point(readers=("user:x", GROUP))
    index.upsert([everyones, anns, groups, point(readers=())])
    assert found(index) == {everyones.id}
    assert found(index, scope(tokens=[USER])) == {everyones.id, anns.id}
    assert found(index, scope(tokens=[USER, GROUP])) == {everyones.id, anns.id, groups.id}


def test_scope_without_tokens_finds_nothing(index: VectorIndex) -> None:
    index.upsert([point(), point(readers=())])
    assert found(index, replace(scope(), tokens=frozenset())) == set()


def test_managers_find_restricted_points_of_their_knowledge_bases(index: VectorIndex) -> None:
    narrowed, elsewhere = point(readers=()), point(readers=(), knowledge_base=OTHER_KB)
    index.upsert([narrowed, elsewhere])
    assert found(index, scope(readable=[KB, OTHER_KB], managed=[KB])) == {narrowed.id}


def test_managing_a_knowledge_base_out_of_scope_widens_nothing(index: VectorIndex) -> None:
    mine, managed = point(), point(knowledge_base=OTHER_KB, readers=())
    index.upsert([mine, managed, point(readers=())])
    assert found(index, scope(readable=[KB], managed=[OTHER_KB])) == {mine.id}


def test_reader_token_opens_no_other_knowledge_base(index: VectorIndex) -> None:
    index.upsert([point(readers=(USER,), knowledge_base=OTHER_KB)])
    assert found(index, scope(tokens=[USER])) == set()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), {"a", "b", "c"}),
        (Filters(source_uri="b.md"), {"b"}),
        (Filters(source_uri=""), {"c"}),
        (Filters(source_uri="\ud800"), set()),
        (Filters(tags=("x",)), {"a", "b"}),
        (Filters(tags=("y", "z")), {"b"}),
        (Filters(tags=()), set()),
        (Filters(created_after=200.0), {"b", "c"}),
        (Filters(created_before=200.0), {"a"}),
        (Filters(created_after=150.0, created_before=250.5), {"b"}),
        (Filters(source_uri="a.md", tags=("y",)), set()),
        (Filters(tags=("x",), created_after=0.0, source_uri="a.md"), {"a"}),
    ],
)
def test_filters_narrow(index: VectorIndex, filters: Filters, expected: set[str]) -> None:
    points = {
        "a": point(source_uri="a.md", tags=("x",), created_at=100.0),
        "b": point(source_uri="b.md", tags=("x", "y"), created_at=200.0),
        "c": point(created_at=300.5),
    }
    index.upsert([*points.values(), point(knowledge_base=OTHER_KB, source_uri="b.md", tags=("x", "y"))])
    assert found(index, filters=filters) == {points[name].id for name in expected}


def test_documents_can_be_chosen(index: VectorIndex) -> None:
    first, second, hidden = point(), point(), point(readers=())
    index.upsert([first, second, hidden])
    chosen = Filters(document_ids=(first.document, hidden.document, uuid4()))
    assert found(index, filters=chosen) == {first.id}
    assert found(index, filters=Filters(document_ids=())) == set()


def test_large_scopes(index: VectorIndex) -> None:
    mine = point(readers=(GROUP,))
    index.upsert([mine, point(knowledge_base=OTHER_KB)])
    others = [uuid4() for _ in range(3000)]
    tokens = [f"group:{uuid4()}" for _ in range(1500)]
    many = scope(readable=[KB, *others], managed=others, tokens=[GROUP, *tokens])
    chosen = Filters(document_ids=(mine.document, *(uuid4() for _ in range(1000))))
    assert found(index, many, filters=chosen) == {mine.id}


def test_words_out_of_scope_do_not_change_scores(index: VectorIndex) -> None:
    """Otherwise a score would reveal how many restricted documents contain a word."""
    index.upsert([point(), point(sparse=words(OTHER_WORD))])
    before = ask(index).sparse
    index.upsert([point(knowledge_base=OTHER_KB) for _ in range(20)])
    index.upsert([point(readers=()) for _ in range(20)])
    assert before[0].score > 0
    assert [each.score for each in ask(index).sparse] == pytest.approx([each.score for each in before])


def test_rare_words_score_higher(index: VectorIndex) -> None:
    common = [point(sparse=words(WORD)) for _ in range(5)]
    rare = point(sparse=words(OTHER_WORD))
    index.upsert([*common, rare])
    assert ask(index, sparse=words(WORD, OTHER_WORD)).sparse[0].id == rare.id


def test_texts_and_queries_without_words_use_dense_search(index: VectorIndex) -> None:
    silent, worded = point(sparse=words()), point()
    index.upsert([silent, worded])
    assert {each.id for each in ask(index).dense} == {silent.id, worded.id}
    assert [each.id for each in ask(index).sparse] == [worded.id]
    candidates = ask(index, sparse=Sparse((), ()))
    assert len(candidates.dense) == 2
    assert candidates.sparse == []


def test_set_fields_reaches_every_point_of_the_document(index: VectorIndex) -> None:
    document = uuid4()
    chunks, other = [point(document=document, tags=("old",)) for _ in range(3)], point()
    index.upsert([*chunks, other])
    index.set_fields(document, readers=(USER,), tags=("new",))
    ids = {chunk.id for chunk in chunks}
    assert found(index) == {other.id}
    assert found(index, scope(tokens=[USER])) == {other.id, *ids}
    assert found(index, scope(tokens=[USER]), filters=Filters(tags=("new",))) == ids
    assert found(index, scope(tokens=[USER]), filters=Filters(tags=("old",))) == set()
    index.set_fields(document, readers=(), tags=())
    assert found(index, scope(tokens=[USER])) == {other.id}
    assert index.count() == 4


def test_deleting_and_counting(index: VectorIndex) -> None:
    document, old, new = uuid4(), uuid4(), uuid4()
    index.upsert([point(document=document, version=old) for _ in range(3)])
    index.upsert([point(document=document, version=new) for _ in range(2)])
    index.upsert([point()])
    assert index.count(document=document) == 5
    assert index.count(document=document, version=old) == index.count(version=old) == 3
    index.delete_version(old)
    index.delete_version(old)
    assert (index.count(document=document), index.count(version=old), index.count()) == (2, 0, 3)
    index.delete_document(document)
    assert (index.count(document=document), index.count()) == (0, 1)
    assert len(found(index)) == 1


def test_vectors_of_existing_points_are_returned(index: VectorIndex) -> None:
    one, another = point(dense=direction(1, 2)), point(dense=direction(3, 1), sparse=words())
    index.upsert([one, another, point()])
    given = index.vectors([one.id, another.id, uuid4()])
    assert given.keys() == {one.id, another.id}
    assert given[one.id].tolist() == pytest.approx(one.dense.tolist(), abs=1e-6)
    assert given[another.id].tolist() == pytest.approx(another.dense.tolist(), abs=1e-6)
    assert index.vectors([]) == {}


def test_closed_index_is_unavailable(closable_index: VectorIndex) -> None:
    closable_index.close()
    closable_index.close()
    calls: list[Callable[[], object]] = [
        closable_index.count,
        lambda: closable_index.vectors([uuid4()]),
        lambda: ask(closable_index),
        lambda: closable_index.upsert([point()]),
        lambda: closable_index.delete_document(uuid4()),
        lambda: closable_index.set_fields(uuid4(), readers=(), tags=()),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            call()


def test_empty_scope_does_not_reach_the_store(closable_index: VectorIndex) -> None:
    closable_index.upsert([point()])
    closable_index.close()  # any contact would raise
    candidates = ask(closable_index, scope(readable=()))
    assert (candidates.dense, candidates.sparse) == ([], [])


def test_threads_write_and_search_concurrently(index: VectorIndex) -> None:
    index.upsert([point() for _ in range(50)])
    problems: list[BaseException] = []

    def work(step: Callable[[], object]) -> None:
        try:
            for _ in range(20):
                step()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            problems.append(error)

    def write() -> None:
        batch = [point(document=(document := uuid4())) for _ in range(20)]
        index.upsert(batch)
        index.set_fields(batch[0].document, readers=(USER,), tags=())
        index.delete_document(document)

    def read() -> None:
        assert len(ask(index, limit=50).dense) == 50

    threads = [threading.Thread(target=work, args=(step,)) for step in (write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert index.count() == 50 + 2 * 20 * 19


def test_dense_scores_are_cosines(index: VectorIndex) -> None:
    index.upsert([point(dense=EAST * 3)])
    assert ask(index).dense[0].score == pytest.approx(1.0, abs=1e-5)
