import numpy as np
import pytest

from cairn.inference.cross_encoders.extractive_reader import MOST_TOKENS, best_spans


def best(starts: list[float], ends: list[float], inside: list[bool]) -> float:
    found = best_spans(np.array([starts], np.float32), np.array([ends], np.float32), np.array([inside]))
    return float(found[0])


def test_span_end_is_not_before_its_start() -> None:
    assert best([0, 1, 9], [0, 9, 1], [False, True, True]) == 10


def test_span_is_only_in_the_passage() -> None:
    assert best([50, 1, 2, 50], [50, 1, 2, 50], [False, True, True, False]) == 4


@pytest.mark.parametrize(("apart", "score"), [(MOST_TOKENS - 1, 20.0), (MOST_TOKENS, 10.0)])
def test_answer_span_is_short(apart: int, score: float) -> None:
    starts, ends = [0.0] * 50, [0.0] * 50
    starts[1], ends[1 + apart] = 10.0, 10.0
    assert best(starts, ends, [False] + [True] * 49) == score
