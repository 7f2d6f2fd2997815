"""Fusion of dense and sparse results by their scores, not their ranks.

A passage scores its cosine, plus its BM25 as a share of the best BM25 of this query. Cosines are not
normalised: where they are all low and similar, as for a part number, the words decide; where one stands out,
it does. The more words a question has, the less each of them weighs: a part number is meant literally, a
whole sentence is not.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from retrieval.index.protocol import Candidate, Candidates
from retrieval.types import Scores

# For cosines that spread as those of the MiniLM family do. On the handbook's dev questions and on those about
# quarterly reports this beats either half; a fixed weight of 0.4 fell behind cosines alone on the latter.
WEIGHT_OF_A_TERM: Final = 1.2  # divided by the number of terms
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 0.4
RRF_K: Final = 60


class Ranking(StrEnum):
    """Ranking of a search. All but `hybrid` exist for comparison."""

    HYBRID = "hybrid"
    DENSE = "dense"
    BM25 = "bm25"
    RRF = "rrf"


def rank_candidates(
    candidates: Candidates, ranking: Ranking, *, depth: int, terms: int
) -> list[tuple[UUID, Scores]]:
    """Best first, ties by id.

    `depth`: how many of each half the index was asked for. `terms`: how many the query has.
    """
    match ranking:
        case Ranking.HYBRID:
            return fuse(candidates, terms=terms)
        case Ranking.DENSE:
            by = _scores(candidates.dense)
        case Ranking.BM25:
            by = _scores(candidates.sparse)
        case Ranking.RRF:
            by = _reciprocal_ranks(candidates, depth)
    dense, sparse = _scores(candidates.dense), _scores(candidates.sparse)
    scored = [(chunk, Scores(dense.get(chunk), sparse.get(chunk), score)) for chunk, score in by.items()]
    return _best_first(scored)


def _reciprocal_ranks(candidates: Candidates, depth: int) -> dict[UUID, float]:
    """Reciprocal rank fusion of Cormack, Clarke and Buettcher (SIGIR 2009).

    Below `depth`, the dense half contains hits that only the sparse search found: there they have no rank.
    """
    found: dict[UUID, float] = {}
    for half in (candidates.dense[:depth], candidates.sparse[:depth]):
        for rank, candidate in enumerate(half, 1):
            found[candidate.id] = found.get(candidate.id, 0.0) + 1 / (RRF_K + rank)
    return found


def sparse_weight(terms: int) -> float:
    """Return the weight of the best BM25 score relative to cosines, for a query of this many terms."""
    return max(LEAST_WEIGHT, min(MOST_WEIGHT, WEIGHT_OF_A_TERM / max(1, terms)))


def fuse(candidates: Candidates, *, terms: int) -> list[tuple[UUID, Scores]]:
    """Best first, ties by id."""
    dense, sparse = _scores(candidates.dense), _scores(candidates.sparse)
    lowest, best = min(dense.values(), default=0.0), max(sparse.values(), default=0.0)
    weight = sparse_weight(terms)

    def score_chunk(chunk: UUID) -> Scores:
        """Score a chunk. A missing BM25 counts as 0, a missing cosine as the lowest known one."""
        near, words = dense.get(chunk), sparse.get(chunk)
        share = words / best if words and best > 0 else 0.0
        return Scores(near, words, (lowest if near is None else near) + weight * share)

    return _best_first([(chunk, score_chunk(chunk)) for chunk in dense.keys() | sparse.keys()])


def _best_first(scored: Sequence[tuple[UUID, Scores]]) -> list[tuple[UUID, Scores]]:
    return sorted(scored, key=lambda item: (-item[1].fused, item[0]))


def _scores(found: Sequence[Candidate]) -> dict[UUID, float]:
    return {candidate.id: candidate.score for candidate in found}
