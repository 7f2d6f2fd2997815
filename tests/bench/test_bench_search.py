"""Tests that the search benchmark still runs; speed is not judged here."""

from pathlib import Path
from uuid import uuid4

from retrieval.index.filters import KNOWLEDGE_BASE, READERS
from retrieval.index.protocol import Point
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.search.bm25 import document_sparse
from tests.bench.bare import BareSearch
from tests.bench.questions import many
from tests.bench.searching import timed
from tests.bench.served_model import answer_to
from tests.fakes import FakeEmbedder


def test_bare_search_respects_its_filter(tmp_path: Path) -> None:
    embedder, mine, other = FakeEmbedder(), uuid4(), uuid4()
    index = EdgeIndex.create(tmp_path / "index", dimension=embedder.dimension)
    text = "Sick leave is earned each pay period."
    points = [
        Point(
            id=uuid4(), dense=embedder.embed_query(text), sparse=document_sparse(text), knowledge_base=base,
            document=uuid4(), version=uuid4(), readers=("kb",), source_uri="", tags=(), created_at=0.0,
        )
        for base in (mine, other)
    ]  # fmt: skip
    index.upsert(points)
    index.close()
    bare = BareSearch(tmp_path / "index", embedder, {KNOWLEDGE_BASE: [str(mine)], READERS: ["kb"]})
    assert [point.id for point in bare("sick leave")] == [points[0].id]
    bare.close()


def test_every_variant_gets_the_same_questions() -> None:
    asked: dict[str, list[str]] = {"few": [], "many": []}
    times = timed({(1, "few"): asked["few"].append, (2, "many"): asked["many"].append}, many())
    assert asked["few"] == asked["many"]
    assert {len(each) for each in times.values()} == {len(many())}
    assert len(set(many())) == len(many()) > 200


def test_fake_model_repeats_passage_sentences_with_markers() -> None:
    text = "Sick leave is earned each pay period by everyone. Short. It never expires while you work here."
    answer = answer_to(f'[3] Leave > Sick\n"""\n{text}\n"""\n\nQuestion: How?')
    assert answer == (
        "Sick leave is earned each pay period by everyone [3]. It never expires while you work here [3]."
    )
