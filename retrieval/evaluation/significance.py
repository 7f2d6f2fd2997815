"""Paired test of two runs over the same questions: whether one is better, or chance decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from retrieval.evaluation.run_comparison import Change, Difference

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a share."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Exact McNemar test on the questions that only one of the runs got right.

    `difference` is the share of questions that are right now minus that of before, with the bounds `low` and
    `high` of its 95 % interval. `p_value`: how likely at least such a difference is if both do equally well.
    """

    questions: int
    better: int
    worse: int
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def is_significant(self) -> bool:
        return self.p_value < 1 - CONFIDENCE

    @property
    def is_worse(self) -> bool:
        return self.is_significant and self.worse > self.better


def compare_pairs(found: Iterable[Difference]) -> PairedTest | None:
    """Test the difference of two runs; None if they have no question in common."""
    return compare_changes([each.change for each in found])


def exact_interval(hits: int, total: int) -> Interval:
    """Return the 95 % interval of a share, as Clopper and Pearson compute it. `total` is not 0."""
    from scipy.stats import binomtest  # noqa: PLC0415  # takes a second to import

    found = binomtest(hits, total).proportion_ci(CONFIDENCE, method="exact")
    return Interval(float(found.low), float(found.high))


def compare_changes(changes: Sequence[Change]) -> PairedTest | None:
    """Test what became of each question; None without questions."""
    from scipy.stats import binomtest  # noqa: PLC0415  # takes a second to import

    if not changes:
        return None
    total, better, worse = len(changes), changes.count(Change.BETTER), changes.count(Change.WORSE)
    changed = better + worse
    if not changed:
        return PairedTest(total, 0, 0, 0.0, 0.0, 0.0, 1.0)
    test = binomtest(better, changed)
    interval = test.proportion_ci(CONFIDENCE, method="exact")
    low, high = ((2 * float(share) - 1) * changed / total for share in interval)
    return PairedTest(total, better, worse, (better - worse) / total, low, high, float(test.pvalue))
