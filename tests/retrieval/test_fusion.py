import math
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import fuse
from retrieval.index.protocol import Candidate, Candidates

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def halves(dense: dict[UUID, float], sparse: dict[UUID, float]) -> Candidates:
    lists = ([Candidate(each, score) for each, score in half.items()] for half in (dense, sparse))
    return Candidates(*lists)


def order(candidates: Candidates) -> list[UUID]:
    return [each for each, _ in fuse(candidates)]


def test_nothing_found() -> None:
    assert fuse(Candidates()) == []


def test_agreement_beats_one_strong_half() -> None:
    found = halves({A: 0.7, B: 0.68, C: 0.3, D: 0.3}, {A: 1.0, B: 9.0, C: 1.0, D: 1.0})
    assert order(found)[:2] == [B, A]


def test_a_half_that_sees_no_difference_decides_nothing() -> None:
    assert order(halves({A: 0.5, B: 0.6, C: 0.4}, {A: 2.0, B: 2.0, C: 2.0})) == [B, A, C]
    assert order(halves({A: 0.5, B: 0.5, C: 0.5}, {A: 1.0, C: 3.0, B: 2.0})) == [C, B, A]


def test_a_dense_half_counts_more_than_a_sparse_one() -> None:
    assert order(halves({A: 0.9, B: 0.1}, {A: 1.0, B: 9.0})) == [A, B]


def test_without_a_common_word_bm25_is_nought() -> None:
    (_, first), (_, second) = fuse(halves({A: 0.5, B: 0.5}, {B: 4.0}))
    assert (first.sparse, second.sparse) == (4.0, None)
    assert first.fused == -second.fused > 0


def test_a_missing_cosine_counts_as_the_lowest() -> None:
    scores = dict(fuse(halves({A: 0.9, B: 0.2}, {A: 1.0, B: 1.0, C: 1.0})))
    assert scores[C].dense is None
    assert scores[C].fused == scores[B].fused


def test_ties_go_by_id() -> None:
    assert order(halves({C: 0.5, A: 0.5, B: 0.5}, {})) == [A, B, C]


scores = st.dictionaries(st.sampled_from([A, B, C, D]), st.floats(-1e6, 1e6, allow_nan=False), max_size=4)


@given(scores, scores)
def test_any_scores_give_one_ranking_of_the_union(
    dense: dict[UUID, float], sparse: dict[UUID, float]
) -> None:
    ranked = fuse(halves(dense, sparse))
    assert {each for each, _ in ranked} == dense.keys() | sparse.keys()
    fused = [score.fused for _, score in ranked]
    assert fused == sorted(fused, reverse=True)
    backwards = halves(dict(reversed(dense.items())), dict(reversed(sparse.items())))
    assert fuse(backwards) == ranked
    assert all(map(math.isfinite, fused))
