"""95 % confidence intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

_Z: Final = 1.959964
_ROUNDS: Final = 2000
_SEED: Final = 0
_TAILS: Final = (2.5, 97.5)

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


def estimate_share(values: Sequence[bool]) -> Estimate | None:
    """Return the share of true values with its Wilson interval; None without values."""
    count = len(values)
    if not count:
        return None
    share = sum(values) / count
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return Estimate(share, max(0.0, middle - reach), min(1.0, middle + reach))


def bootstrap(rows: Numbers, statistic: Callable[[Numbers], float]) -> Estimate | None:
    """Return a statistic of rows with its percentile interval over resampled rows; None without rows."""
    if not len(rows):
        return None
    random = np.random.default_rng(_SEED)
    drawn = [statistic(rows[random.integers(len(rows), size=len(rows))]) for _ in range(_ROUNDS)]
    low, high = np.percentile(drawn, _TAILS)
    return Estimate(statistic(rows), float(low), float(high))


def estimate_auc(positive: Sequence[float], negative: Sequence[float]) -> Estimate:
    """Return the probability that a positive value exceeds a negative one; ties count half."""
    wins = np.sign(np.subtract.outer(np.array(positive, float), np.array(negative, float))) / 2 + 0.5
    random = np.random.default_rng(_SEED)
    rows, columns = wins.shape
    drawn = [
        wins[random.integers(rows, size=rows)][:, random.integers(columns, size=columns)].mean()
        for _ in range(_ROUNDS)
    ]
    low, high = np.percentile(drawn, _TAILS)
    return Estimate(float(wins.mean()), float(low), float(high))
