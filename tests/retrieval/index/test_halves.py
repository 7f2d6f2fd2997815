from collections.abc import Sequence
from uuid import UUID

from retrieval.index.hybrid_query import DENSE, SPARSE, Leg, query_hybrid
from retrieval.index.protocol import Candidate

A, B, C = (UUID(int=number) for number in range(1, 4))
KNOWN = {DENSE: {A: 0.9, B: 0.5, C: 0.1}, SPARSE: {C: 7.0, B: 2.0}}


class Store:
    """Answers from KNOWN; records its batches."""

    def __init__(self) -> None:
        self.batches: list[list[Leg]] = []

    def run(self, halves: Sequence[Leg]) -> list[list[Candidate]]:
        self.batches.append(list(halves))
        return [self._best(half) for half in halves]

    def _best(self, half: Leg) -> list[Candidate]:
        scores = KNOWN[half.vector]
        ids = [each for each in scores if half.among is None or each in half.among]
        return [Candidate(each, scores[each]) for each in ids][: half.limit]


def test_both_legs_use_one_batch_and_missing_cosines_another() -> None:
    store = Store()
    found = query_hybrid(store.run, limit=1, sparse=True)
    assert found.dense == [Candidate(A, 0.9), Candidate(C, 0.1)]
    assert found.sparse == [Candidate(C, 7.0)]
    assert store.batches == [
        [Leg(DENSE, 1), Leg(SPARSE, 1)],
        [Leg(DENSE, 1, frozenset({C}))],
    ]


def test_second_batch_is_omitted_without_missing_cosines() -> None:
    store = Store()
    found = query_hybrid(store.run, limit=3, sparse=True)
    assert [each.id for each in found.dense] == [A, B, C]
    assert [each.id for each in found.sparse] == [C, B]
    assert len(store.batches) == 1


def test_query_without_words_uses_only_the_dense_leg() -> None:
    store = Store()
    found = query_hybrid(store.run, limit=2, sparse=False)
    assert [each.id for each in found.dense] == [A, B]
    assert found.sparse == []
    assert store.batches == [[Leg(DENSE, 2)]]
