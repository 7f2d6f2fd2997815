import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.index.protocol import Candidate, Candidates
from retrieval.search.fusion import LEAST_WEIGHT, MOST_WEIGHT, Ranking, fuse, rank_candidates, sparse_weight

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def halves(dense: dict[UUID, float], sparse: dict[UUID, float]) -> Candidates:
    lists = ([Candidate(each, score) for each, score in half.items()] for half in (dense, sparse))
    return Candidates(*lists)


def order(candidates: Candidates) -> list[UUID]:
    return [each for each, _ in fuse(candidates, terms=1)]


def test_fusion_of_no_candidates_is_empty() -> None:
    assert fuse(Candidates(), terms=1) == []


def test_fusion_prefers_agreement_to_one_strong_score() -> None:
    assert order(halves({A: 0.70, B: 0.66, C: 0.30}, {A: 1.0, B: 9.0, C: 9.0})) == [B, A, C]


def test_fusion_uses_words_if_cosines_are_similar() -> None:
    assert order(halves({A: 0.21, B: 0.20, C: 0.12}, {C: 6.0, B: 0.5})) == [C, B, A]


def test_outstanding_cosine_is_not_outvoted() -> None:
    assert order(halves({A: 0.85, B: 0.35}, {B: 9.0})) == [A, B]


def test_fusion_returns_component_scores() -> None:
    (_, first), (_, second) = fuse(halves({A: 0.5, B: 0.4}, {B: 4.0}), terms=1)
    assert (first.dense, first.sparse) == (0.4, 4.0)
    assert first.fused == pytest.approx(0.4 + MOST_WEIGHT)
    assert (second.dense, second.sparse, second.fused) == (0.5, None, 0.5)


def test_missing_cosine_counts_as_the_lowest() -> None:
    scores = dict(fuse(halves({A: 0.9, B: 0.2}, {A: 1.0, B: 1.0, C: 1.0}), terms=1))
    assert scores[C].dense is None
    assert scores[C].fused == scores[B].fused


def test_ties_are_ordered_by_id() -> None:
    assert order(halves({C: 0.5, A: 0.5, B: 0.5}, {})) == [A, B, C]


def scores(lowest: float, highest: float) -> st.SearchStrategy[dict[UUID, float]]:
    return st.dictionaries(st.sampled_from([A, B, C, D]), st.floats(lowest, highest), max_size=4)


@given(scores(-1, 1), scores(0, 1e6))
def test_fusion_ranks_the_union_of_candidates(dense: dict[UUID, float], sparse: dict[UUID, float]) -> None:
    ranked = fuse(halves(dense, sparse), terms=1)
    assert {each for each, _ in ranked} == dense.keys() | sparse.keys()
    fused = [score.fused for _, score in ranked]
    assert fused == sorted(fused, reverse=True)
    assert all(map(math.isfinite, fused))
    backwards = halves(dict(reversed(dense.items())), dict(reversed(sparse.items())))
    assert fuse(backwards, terms=1) == ranked


BOTH = halves({A: 0.9, B: 0.5, C: 0.4}, {C: 7.0, B: 3.0})


@pytest.mark.parametrize(
    ("ranking", "wanted"),
    [
        (Ranking.HYBRID, fuse(BOTH, terms=1)),
        (Ranking.DENSE, [(A, 0.9), (B, 0.5), (C, 0.4)]),
        (Ranking.BM25, [(C, 7.0), (B, 3.0)]),
        (Ranking.RRF, [(C, 1 / 61 + 1 / 63), (B, 2 / 62), (A, 1 / 61)]),
    ],
)
def test_each_ranking_uses_its_own_scores(ranking: Ranking, wanted: list[tuple[UUID, object]]) -> None:
    found = rank_candidates(BOTH, ranking, depth=3, terms=1)
    assert [each for each, _ in found] == [each for each, _ in wanted]
    if ranking is not Ranking.HYBRID:
        assert [score.fused for _, score in found] == [score for _, score in wanted]
    best = dict(found)[C]
    assert (best.dense, best.sparse) == (0.4, 7.0)


def test_sparse_only_hit_has_no_dense_rank() -> None:
    """Its cosine was requested later, and is below those that the dense leg found by itself."""
    scores = dict(rank_candidates(halves({A: 0.9, B: 0.1}, {B: 2.0}), Ranking.RRF, depth=1, terms=1))
    assert scores[A].fused == scores[B].fused == 1 / 61


def test_single_word_of_a_long_question_has_a_lower_weight() -> None:
    both = halves({A: 0.60, B: 0.40}, {B: 9.0})
    assert [each for each, _ in fuse(both, terms=1)] == [B, A]
    assert [each for each, _ in fuse(both, terms=12)] == [A, B]


def test_sparse_weight_is_bounded() -> None:
    assert sparse_weight(0) == sparse_weight(1) == MOST_WEIGHT
    assert sparse_weight(10_000) == LEAST_WEIGHT
    assert LEAST_WEIGHT < sparse_weight(6) < MOST_WEIGHT
