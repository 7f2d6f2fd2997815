"""Tests the scale benchmark itself; speed is not judged here."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cairn.access.scope import EVERY_READER
from cairn.settings.env import ROOT
from retrieval.index.protocol import Filters, Point, Sparse
from retrieval.index.qdrant_edge import EdgeIndex
from tests.bench.scale.__main__ import sizes
from tests.bench.scale.asking import READABLE, Asked, Memory
from tests.bench.scale.measuring import Measured, Step, watched
from tests.bench.scale.points import BASES, DIMENSION, PER_DOCUMENT, asker, points, questions, readers_of
from tests.bench.scale.sizing import GIB, Cluster, PerChunk, cluster_for

pytestmark = pytest.mark.slow

DOCUMENTS = 2 * BASES
NEAREST = 10
MIB = 2**20


def test_generated_document_depends_only_on_its_number() -> None:
    once, again, other = points(7), points(7), points(8)
    assert [(each.id, each.sparse, each.readers) for each in once] == [
        (each.id, each.sparse, each.readers) for each in again
    ]
    assert len({each.id for each in (*once, *other)}) == 2 * PER_DOCUMENT
    lengths = np.linalg.norm([each.dense for each in once], axis=1)
    assert lengths == pytest.approx(np.ones(PER_DOCUMENT), abs=1e-5)


def test_chunks_form_clusters_with_questions_near_them() -> None:
    stored = _vectors([points(number) for number in range(DOCUMENTS)])
    own = stored[0] @ stored[0].T
    others = stored[0] @ np.concatenate(stored[1:]).T
    assert np.median(own) > 0.5 > np.median(others) > 0
    for question in questions(DOCUMENTS * PER_DOCUMENT, 20):
        assert (np.concatenate(stored) @ question.dense).max() > 0.6
        assert question.sparse.indices


def test_one_document_in_ten_is_restricted_in_each_knowledge_base() -> None:
    for base in range(BASES):
        readers = [readers_of(number) for number in range(base, 20 * BASES, BASES)]
        assert sum(each != (EVERY_READER,) for each in readers) == 2


def _vectors(documents: list[list[Point]]) -> list[np.ndarray]:
    return [np.array([each.dense for each in document]) for document in documents]


@pytest.mark.parametrize("readable", READABLE)
def test_search_without_a_graph_finds_the_nearest_readable_points(tmp_path: Path, readable: int) -> None:
    """Recall is measured against this search."""
    stored = [point for number in range(DOCUMENTS) for point in points(number)]
    index = EdgeIndex.create(tmp_path / "index", dimension=DIMENSION)
    index.upsert(stored)
    scope = asker(readable)
    allowed = [
        each for each in stored if each.knowledge_base in scope.readable and set(each.readers) & scope.tokens
    ]
    assert 0 < len(allowed) < len(stored)
    vectors = np.array([each.dense for each in allowed])
    for question in questions(len(stored), 5):
        found = index.query(
            question.dense, Sparse((), ()), scope=scope, filters=Filters(), limit=NEAREST
        ).dense
        order = np.argsort(-(vectors @ question.dense))[:NEAREST]
        assert {each.id for each in found} == {allowed[at].id for at in order}
    index.close()


def test_recall_is_the_share_of_nearest_points_found() -> None:
    nothing = Memory(0, 0)
    step = Step(1.0, nothing, 0)

    def asked(*nearest: list[str]) -> Asked:
        return Asked(0.0, nothing, nothing, nothing, {}, {}, {1: list(nearest)})

    measured = Measured(2, step, 0, asked(["a", "b"], ["c", "d"]), step, 0, asked(["b", "a"], ["c", "x"]))
    assert measured.recall(1) == 0.75


def test_peak_memory_and_disk_use_are_measured(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x" * MIB)
    code = f"""
import pathlib, time
taken, file = b"x" * {200 * MIB}, pathlib.Path({str(tmp_path)!r}, "file")
file.write_bytes(b"x" * {8 * MIB})
time.sleep(1.5)
file.unlink()
time.sleep(1)
print("done")
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    step, output = watched(child, tmp_path)
    assert output == "done\n"
    assert 200 * MIB < step.peak.anonymous < step.peak.resident < 300 * MIB
    assert 9 * MIB <= step.disk < 10 * MIB


def test_failed_step_ends_the_benchmark(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "exit(3)"], stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.CalledProcessError):
        watched(child, tmp_path)


def test_sizes_grow_to_the_requested_maximum() -> None:
    assert sizes(1_000_000) == [10_000, 100_000, 1_000_000]
    assert sizes(100_000) == [10_000, 100_000]
    assert sizes(500) == [500]


def test_small_cluster_has_three_nodes_and_a_large_one_enough_for_its_memory() -> None:
    per_chunk = PerChunk(memory=3 * 1024, disk=6 * 1024)
    assert cluster_for(GIB // 1024, per_chunk) == Cluster(
        chunks=GIB // 1024,
        nodes=3,
        shards=6,
        memory_by_qdrant=GIB * 2 * 2.25 / 3,
        memory_by_measure=GIB * 2,
        disk=GIB * 4,
    )
    large = cluster_for(50 * GIB // 1024, per_chunk)
    assert (large.nodes, large.shards) == (7, 14)  # 300 GiB, 48 on each
    by_rule = cluster_for(50 * GIB // 1024, PerChunk(memory=1024, disk=1024))
    assert by_rule.nodes == 5  # 225 GiB


def test_small_run_writes_figures_and_report(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "QDRANT_URL"}
    subprocess.run(
        [
            sys.executable, "-m", "tests.bench.scale", "--chunks", "520", "--folder", tmp_path,
            "--json", tmp_path / "figures.json", "--report", tmp_path / "report",
        ],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    figures = {each["name"]: each["value"] for each in json.loads((tmp_path / "figures.json").read_text())}
    assert figures["520 chunks, graph: recall@10 of the dense half in 50 bases"] == 1  # too few for a graph
    assert all(value > 0 for name, value in figures.items() if name.endswith("p95"))
    page = (tmp_path / "report" / "scale.md").read_text(encoding="utf-8")
    sized = re.findall(r"^\| (?:1|10|50),000,000 \| (.*) \|$", page, re.MULTILINE)
    assert [row.count("(computed)") for row in sized] == [5, 5, 5]
    assert all((tmp_path / "report" / name).exists() for name in re.findall(r"\]\(([\w-]+\.svg)\)", page))
    assert not list(tmp_path.glob("cairn-scale-*"))
