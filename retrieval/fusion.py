"""One ranking from two halves, by their scores and not by their ranks.

Both halves' scores are brought to mean 0 and deviation 1 over the candidates of this query, then added.
So a half in which one candidate stands out counts more than one that sees no difference, and a weak
half does not pull the other one down as it does with reciprocal ranks.
"""

from collections.abc import Sequence
from statistics import fmean, pstdev
from uuid import UUID

from retrieval.index.protocol import Candidate, Candidates
from retrieval.types import Scores

SPARSE_WEIGHT = 0.4
NO_DIFFERENCE = 1e-9


def fuse(candidates: Candidates) -> list[tuple[UUID, Scores]]:
    """Best first, ties by id. `fused` orders the candidates of one query, and means nothing beyond it."""
    dense, sparse = _scores(candidates.dense), _scores(candidates.sparse)
    ids = sorted(dense.keys() | sparse.keys())
    # A text without any of the terms has BM25 0. A missing cosine is at most the lowest one known.
    lowest = min(dense.values(), default=0.0)
    near = _standardised([dense.get(each, lowest) for each in ids])
    worded = _standardised([sparse.get(each, 0.0) for each in ids])
    fused = [
        (each, Scores(dense.get(each), sparse.get(each), near_score + SPARSE_WEIGHT * word_score))
        for each, near_score, word_score in zip(ids, near, worded, strict=True)
    ]
    return sorted(fused, key=lambda item: -item[1].fused)


def _scores(found: Sequence[Candidate]) -> dict[UUID, float]:
    return {candidate.id: candidate.score for candidate in found}


def _standardised(values: Sequence[float]) -> list[float]:
    deviation = pstdev(values) if values else 0.0
    if deviation < NO_DIFFERENCE:
        return [0.0] * len(values)
    mean = fmean(values)
    return [(value - mean) / deviation for value in values]
