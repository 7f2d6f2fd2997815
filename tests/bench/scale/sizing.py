"""Computes the size of a Qdrant cluster from the largest index that was measured."""

import math
from dataclasses import dataclass
from typing import Final, Self

from tests.bench.scale.measuring import Measured
from tests.bench.scale.points import DIMENSION

GIB: Final = 2**30
CLUSTERS: Final = (1_000_000, 10_000_000, 50_000_000)  # chunks
REPLICAS: Final = 2
FEWEST_NODES: Final = 3
SHARDS_PER_NODE: Final = 2
MEMORY_PER_NODE: Final = 48 * GIB  # for the index, of 64 GiB
BY_QDRANT: Final = DIMENSION * 4 * 1.5  # bytes a chunk


@dataclass(frozen=True, slots=True)
class PerChunk:
    """Bytes of one chunk on one node. `disk`: the peak during optimisation."""

    memory: float
    disk: float

    @classmethod
    def of(cls, measured: Measured) -> Self:
        memory = measured.graph.searched - measured.graph.before
        return cls(memory.resident / measured.chunks, measured.optimised.disk / measured.chunks)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Memory and disk in bytes of each node."""

    chunks: int
    nodes: int
    shards: int
    memory_by_qdrant: float
    memory_by_measure: float
    disk: float


def cluster_for(chunks: int, per_chunk: PerChunk) -> Cluster:
    stored = chunks * REPLICAS
    memory = stored * max(per_chunk.memory, BY_QDRANT)
    nodes = max(FEWEST_NODES, math.ceil(memory / MEMORY_PER_NODE))
    return Cluster(
        chunks=chunks,
        nodes=nodes,
        shards=nodes * SHARDS_PER_NODE,
        memory_by_qdrant=stored * BY_QDRANT / nodes,
        memory_by_measure=stored * per_chunk.memory / nodes,
        disk=stored * per_chunk.disk / nodes,
    )
