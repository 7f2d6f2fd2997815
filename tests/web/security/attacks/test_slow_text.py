"""Text of eight times the length takes about eight times as long to clean, whatever it is made of."""

import time

import pytest

from retrieval.answering.markup import harmless
from tests.web.security.attacks.recorder import Attack

SEEDS = ["<!--", "<!-- ", "x<!--"]
SMALL, TIMES = 4_000, 8
MOST = 4 * TIMES
"""Linear time gives a ratio of about 8, quadratic 64. The margin is for a machine that is busy."""
NOISE_SECONDS = 0.005


def seconds(text: str) -> float:
    """The best of three, in processor time."""
    return min(_once(text) for _ in range(3))


def _once(text: str) -> float:
    began = time.thread_time()
    harmless(text)
    return time.thread_time() - began


@pytest.mark.parametrize("seed", SEEDS)
def test_cleaning_takes_time_in_proportion_to_the_length(attack: Attack, seed: str) -> None:
    small = seconds(seed * (SMALL // len(seed)))
    large = seconds(seed * (TIMES * SMALL // len(seed)))
    attack.refused(large <= MOST * max(small, NOISE_SECONDS), f"{small:.4f} s, then {large:.4f} s")
    attack.allowed(harmless("a <!-- b --> c") == "a  c", harmless("a <!-- b --> c"))
