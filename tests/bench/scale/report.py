"""The figures of each size, and the page that they are on."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.bench.figures import Figure, percentile
from tests.bench.plots import Plot, plot_write
from tests.bench.scale.asking import NEAREST, READABLE, WARM_UP, Asked
from tests.bench.scale.measuring import LOOK_SECONDS, Measured
from tests.bench.scale.points import BASES, DIMENSION, NARROWED_EVERY, TERMS_ASKED, VOCABULARY
from tests.bench.scale.sizing import (
    BY_QDRANT,
    CLUSTERS,
    FEWEST_NODES,
    GIB,
    MEMORY_PER_NODE,
    REPLICAS,
    SHARDS_PER_NODE,
    Cluster,
    PerChunk,
    cluster_for,
)

MIB: Final = 2**20


def figures(measured: Measured) -> Iterator[Figure]:
    """The same ones in the same order for every size."""
    yield Figure("filling: upserts", measured.filled.seconds, "s")
    yield Figure("filling: upserts", measured.chunks / measured.filled.seconds, "chunks/s")
    yield Figure("optimising", measured.optimised.seconds, "s")
    for name, step in (("filling", measured.filled), ("optimising", measured.optimised)):
        yield Figure(f"memory while {name}, most", step.peak.resident / MIB, "MiB")
        yield Figure(f"memory while {name}, most, anonymous", step.peak.anonymous / MIB, "MiB")
    yield Figure("disk, filled", measured.filled_disk / MIB, "MiB")
    yield Figure("disk while optimising, most", measured.optimised.disk / MIB, "MiB")
    yield Figure("disk, with a graph", measured.disk / MIB, "MiB")
    for name, asked in (("no graph", measured.plain), ("graph", measured.graph)):
        yield Figure(f"{name}: opening", asked.opened_seconds, "s")
        yield from _memory(name, asked)
        for readable in READABLE:
            times, dense = asked.hybrid_ms[readable], asked.dense_ms[readable]
            where = _bases(readable)
            yield Figure(f"{name}: search in {where}, p50", percentile(times, 0.5), "ms")
            yield Figure(f"{name}: search in {where}, p95", percentile(times, 0.95), "ms")
            yield Figure(f"{name}: its dense half alone in {where}, p95", percentile(dense, 0.95), "ms")
    for readable in READABLE:
        recall = measured.recall(readable)
        yield Figure(f"graph: recall@{NEAREST} of the dense half in {_bases(readable)}", recall, "share")


def _memory(name: str, asked: Asked) -> Iterator[Figure]:
    for when, memory in (("opened", asked.opened), ("after the questions", asked.searched)):
        gained = memory - asked.before
        yield Figure(f"{name}: memory of the index, {when}", gained.resident / MIB, "MiB")
        yield Figure(f"{name}: memory of the index, {when}, anonymous", gained.anonymous / MIB, "MiB")


def _bases(readable: int) -> str:
    return "1 base" if readable == 1 else f"{readable} bases"


def report_write(folder: Path, measured: Sequence[Measured]) -> None:
    """`measured`: smallest first."""
    folder.mkdir(parents=True, exist_ok=True)
    times = [(each.chunks / 1000, percentile(each.graph.hybrid_ms[BASES], 0.95)) for each in measured]
    memory = [
        (each.chunks / 1000, (each.graph.searched - each.graph.before).resident / MIB) for each in measured
    ]
    title = f"Search in {BASES} bases with a graph, p95"
    plot_write(folder / "scale-search.svg", Plot(title, "thousand chunks", "ms", times, line=True))
    title = "Memory of the index with a graph, after the questions"
    plot_write(folder / "scale-memory.svg", Plot(title, "thousand chunks", "MiB", memory, line=True))
    (folder / "scale.md").write_text(_page(folder, measured), encoding="utf-8")


def _page(folder: Path, measured: Sequence[Measured]) -> str:
    largest = measured[-1]
    per_chunk = PerChunk.of(largest)
    columns = " | ".join(f"{each.chunks:,} chunks" for each in measured)
    return _PAGE.format(
        command=f'make bench-scale ARGS="--chunks {largest.chunks} --report {folder}"',
        cores=os.cpu_count(),
        dimension=DIMENSION,
        vocabulary=VOCABULARY,
        bases=BASES,
        narrowed=NARROWED_EVERY,
        terms=TERMS_ASKED,
        questions=len(largest.graph.hybrid_ms[BASES]),
        warm_up=WARM_UP,
        look=LOOK_SECONDS,
        columns=columns,
        aligned="---:|" * len(measured),
        rows="\n".join(_rows(measured)),
        nearest=NEAREST,
        largest=largest.chunks,
        memory=per_chunk.memory,
        disk=per_chunk.disk,
        by_qdrant=BY_QDRANT,
        replicas=REPLICAS,
        fewest=FEWEST_NODES,
        shards=SHARDS_PER_NODE,
        node=MEMORY_PER_NODE // GIB,
        clusters="\n".join(_sized(cluster_for(chunks, per_chunk)) for chunks in CLUSTERS),
    )


def _rows(measured: Sequence[Measured]) -> Iterator[str]:
    for same in zip(*(figures(each) for each in measured), strict=True):
        values = " | ".join(_number(figure) for figure in same)
        yield f"| {same[0].name} | {same[0].unit} | {values} |"


def _number(figure: Figure) -> str:
    return f"{figure.value:.3f}" if figure.unit == "share" else f"{figure.value:,.1f}"


def _sized(cluster: Cluster) -> str:
    of_node = (cluster.memory_by_qdrant, cluster.memory_by_measure, cluster.disk)
    numbers = (f"{cluster.nodes}", f"{cluster.shards}", *(f"{each / GIB:.1f} GiB" for each in of_node))
    return f"| {cluster.chunks:,} | " + " | ".join(f"{number} (computed)" for number in numbers) + " |"


_PAGE: Final = """# Scale

For operators of large installations: time, memory and disk that the vector index needs for up to a
million passages, and the size of a Qdrant cluster for more.

Measured by `{command}` on one machine with {cores} cores. Only the vector index is measured, Qdrant Edge
in one process: no SQL rows, no embedding of questions, no reranking. Each size is an index of its own,
filled as ingestion does it (one call per document) and given its graph (HNSW) as `manage.py reindex` does
it.

The passages (chunks) are generated. Vectors have {dimension} dimensions and are clustered by topic and
document, plus noise, with about the spectrum and the cosines that all-MiniLM-L6-v2 yields for the
handbook. Words are made up and drawn from {vocabulary:,} with frequencies that follow Zipf's law; their
sparse vectors come from the code that processes real text. There are {bases} knowledge bases, and one
document in {narrowed} is restricted to a group. Each question is close to a stored chunk and has {terms}
of its words. For each figure {questions} questions are asked, one at a time, after {warm_up} that aren't
counted, with the permission filter of a user who can read 1, 10 or all {bases} knowledge bases.

## Results

| what | unit | {columns} |
|---|---|{aligned}
{rows}

- Memory is resident memory. It includes pages of mapped files, which the system can drop when it needs
  space; anonymous memory is what it can't drop. "Memory of the index" is the growth of a process since
  before it opened the index. "Memory while filling" is that of the whole process, including the generator
  of the chunks. Peaks of memory and disk were sampled every {look:g} seconds.
- Recall@{nearest} is the share of the {nearest} nearest chunks, among those the user can read, that a
  search with a graph finds. Without a graph, search compares every vector.

![Search in all bases with a graph, p95](scale-search.svg)

![Memory of the index with a graph, after the questions](scale-memory.svg)

## A Qdrant cluster

Nothing in this table was measured on a cluster. It is **computed** from what one chunk takes in Qdrant
Edge at {largest:,} chunks, and from [Qdrant's rule of thumb for
memory](https://qdrant.tech/documentation/guides/capacity-planning/).

| chunks | nodes | shards | memory per node, Qdrant's rule | memory per node, as in Edge | disk per node |
|---:|---:|---:|---:|---:|---:|
{clusters}

- `stored = chunks * {replicas}`, for this number of replicas (`QDRANT_REPLICATION_FACTOR`).
- Memory per node, Qdrant's rule: `stored * {dimension} * 4 * 1.5 / nodes`, which is {by_qdrant:,.0f}
  bytes per chunk (computed). It leaves out sparse vectors and filter fields.
- Memory per node, as in Edge: `stored * {memory:,.0f} / nodes`. The bytes are the memory of the index
  with a graph, after the questions, divided by its chunks (computed from measured figures). They include
  pages that could be dropped, but no room for growth. Use the larger of the two.
- Disk per node: `stored * {disk:,.0f} / nodes`. The bytes are the peak disk usage while optimising,
  divided by the chunks (computed from measured figures). Snapshots need additional space.
- Nodes: the larger memory of all replicas, divided by {node} GiB for the index on each node, rounded up;
  at least {fewest}, with which [a cluster survives the loss of
  one](https://qdrant.tech/documentation/scaling/horizontal-scaling/).
- Shards (`QDRANT_SHARDS`): `nodes * {shards}`, the minimum that [Qdrant
  recommends](https://qdrant.tech/documentation/cloud/production-checklist/).

Cairn uses neither quantization nor `on_disk` for the vectors of its collections, so no row assumes them.
The longer vectors of other embedding models need more of everything.
"""
