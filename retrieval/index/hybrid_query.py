"""Hybrid query: dense and sparse legs, and cosines for what only the words found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from retrieval.index.protocol import Candidate, Candidates

DENSE, SPARSE = "dense", "bm25"


@dataclass(frozen=True, slots=True)
class Leg:
    """The best `limit` points of one vector, only among the points `among`, if given."""

    vector: str
    limit: int
    among: frozenset[UUID] | None = None


class Run(Protocol):
    """Sends all requests in one batch; answers in their order, each already filtered by the scope."""

    def __call__(self, halves: Sequence[Leg], /) -> Sequence[Iterable[Candidate]]: ...


def query_hybrid(run: Run, *, limit: int, sparse: bool) -> Candidates:
    """Query both legs. Guessing the cosine of what only the words found costs quality, and fetching it costs
    next to nothing.

    The opposite brings no quality, and term frequencies would have to be counted again.
    """
    if not sparse:
        return Candidates(dense=_sort_candidates(*run([Leg(DENSE, limit)])))
    dense, worded = (list(found) for found in run([Leg(DENSE, limit), Leg(SPARSE, limit)]))
    unmeasured = frozenset(each.id for each in worded) - {each.id for each in dense}
    if unmeasured:
        dense += next(iter(run([Leg(DENSE, len(unmeasured), unmeasured)])))
    return Candidates(_sort_candidates(dense), _sort_candidates(worded))


def _sort_candidates(found: Iterable[Candidate]) -> list[Candidate]:
    """Best first; ties by id, so that the same query gives the same order."""
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.id))
