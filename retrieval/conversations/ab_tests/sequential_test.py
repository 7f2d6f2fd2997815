"""Statistical test of an A/B test that stays valid although it is repeated while the answers come in.

People are assigned to the models, not answers, and the answers to one person resemble each other. So it is
a randomisation test over people (Fisher, The Design of Experiments, 1935): if the models don't differ, any
other assignment of the same people would have given the same answers, and the share of assignments with at
least as large a difference is an exact p-value, however alike the answers to one person are. It is done at
LOOKS points that are fixed before the start, and the 5 % are divided equally among them (Bonferroni), so that
at most 5 % of the tests without a difference end with one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

ERROR_RATE: Final = 0.05
LOOKS: Final = 10
SIGNIFICANT_P: Final = ERROR_RATE / LOOKS
ASSIGNMENTS: Final = 4999
_CHUNK: Final = 500  # assignments in memory at once
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class PersonCounts:
    """Answers to one person, and how many of them are good."""

    is_candidate: bool
    answers: int
    good: int


@dataclass(frozen=True, slots=True)
class DifferenceTest:
    """`difference`: the candidate's share of good answers minus that of the active model. `p_value`: how
    likely at least such a difference is, in either direction, if the models don't differ."""

    difference: float
    p_value: float


def count_due_looks(answers: int, max_answers: int) -> int:
    """Return how many looks are due. They depend on the answers of both models together: what one of them
    answers must not decide when it is examined."""
    return min(LOOKS, answers * LOOKS // max_answers)


def compare_people(
    people: Iterable[PersonCounts], *, seed: int, assignments: int = ASSIGNMENTS
) -> DifferenceTest | None:
    """Compare the models; None while one of them has answered nobody. `seed`: of the random assignments."""
    rows = list(people)
    is_candidate = np.array([row.is_candidate for row in rows], dtype=bool)
    if not rows or is_candidate.all() or not is_candidate.any():
        return None
    answers = np.array([row.answers for row in rows], dtype=float)
    good = np.array([row.good for row in rows], dtype=float)
    found = float(_difference(is_candidate[np.newaxis], answers, good)[0])
    rng, extreme, left = np.random.default_rng(seed), 0, assignments
    while left:
        count = min(_CHUNK, left)
        shuffled = rng.permuted(np.tile(is_candidate, (count, 1)), axis=1)
        extreme += int((np.abs(_difference(shuffled, answers, good)) >= abs(found) - _ROUNDING).sum())
        left -= count
    return DifferenceTest(found, (extreme + 1) / (assignments + 1))


def _difference(
    assigned: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]",
    answers: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    good: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the difference of the shares for each assignment, which is a row."""
    asked, right = assigned @ answers, assigned @ good
    return np.asarray(right / asked - (good.sum() - right) / (answers.sum() - asked), dtype=np.float64)
