"""The libraries under search, used directly: a query embedding and a hybrid query of Qdrant Edge."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import qdrant_edge as edge

from cairn.inference.protocols import Embedder
from retrieval.index.hybrid_query import DENSE, SPARSE
from retrieval.search.bm25 import query_sparse

CANDIDATES, HITS = 50, 10  # as many as search asks for, and returns


class BareSearch:
    """Edge's example from its documentation, with a filter on each half. `any_of`: values by field."""

    def __init__(self, folder: Path, embedder: Embedder, any_of: Mapping[str, Sequence[str]]) -> None:
        self._shard = edge.EdgeShard.load(str(folder))
        self._embedder = embedder
        self._filter = edge.Filter(
            must=[
                edge.FieldCondition(field, match=edge.MatchAny(list(each))) for field, each in any_of.items()
            ]
        )

    def __call__(self, question: str) -> list[edge.ScoredPoint]:
        dense, sparse = self._embedder.embed_query(question), query_sparse(question)
        words = edge.SparseVector(list(sparse.indices), list(sparse.values))
        halves = [
            self._half(edge.Query.Nearest(dense.tolist(), using=DENSE)),
            self._half(edge.Query.Nearest(words, using=SPARSE)),
        ]
        return self._shard.query(
            edge.QueryRequest(limit=HITS, prefetches=halves, query=edge.Fusion.Rrf(60), filter=self._filter)
        )

    def _half(self, query: edge.Query) -> edge.Prefetch:
        return edge.Prefetch(limit=CANDIDATES, query=query, filter=self._filter)

    def close(self) -> None:
        self._shard.close()
