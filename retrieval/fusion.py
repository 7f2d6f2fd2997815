"""One ranking from two halves, by their scores and not by their ranks.

A passage scores its cosine, plus its BM25 as a share of the best BM25 of this query. Cosines stay as they
are: where they are all low and alike, as for a part number, the words decide; where one stands out, it does.
"""

from collections.abc import Sequence
from uuid import UUID

from retrieval.index.protocol import Candidate, Candidates
from retrieval.types import Scores

# 0.3 to 0.5 rank whole questions equally well; below, exact terms suffer. For cosines that spread as those
# of the MiniLM family do.
SPARSE_WEIGHT = 0.4


def fuse(candidates: Candidates) -> list[tuple[UUID, Scores]]:
    """Best first, ties by id."""
    dense, sparse = _scores(candidates.dense), _scores(candidates.sparse)
    lowest, best = min(dense.values(), default=0.0), max(sparse.values(), default=0.0)

    def scored(chunk: UUID) -> Scores:
        """Without a place among the best, BM25 is taken for 0 and the cosine for the lowest one known."""
        near, words = dense.get(chunk), sparse.get(chunk)
        share = words / best if words and best > 0 else 0.0
        return Scores(near, words, (lowest if near is None else near) + SPARSE_WEIGHT * share)

    fused = [(chunk, scored(chunk)) for chunk in dense.keys() | sparse.keys()]
    return sorted(fused, key=lambda item: (-item[1].fused, item[0]))


def _scores(found: Sequence[Candidate]) -> dict[UUID, float]:
    return {candidate.id: candidate.score for candidate in found}
