"""Refusal curves: how many questions are wrongly refused and wrongly answered as the threshold moves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.bench.plots import Plot, plot_write
from tests.evaluation.results import Result
from tests.evaluation.table import group_results


def refusal_curve(results: Sequence[Result]) -> list[tuple[float, float]]:
    """Return percentages of answerable questions refused and of others answered, for each threshold.

    Questions without signals are left out: compound ones, and those for which nothing was found.
    """
    judged = [each for each in results if each.probability is not None]
    yes = np.array([each.probability for each in judged if each.answerable], float)
    no = np.array([each.probability for each in judged if not each.answerable], float)
    if not len(yes) or not len(no):
        return []
    thresholds = [0.0, *sorted({*yes, *no}), 1.0 + 1e-9]
    return [(100 * float((yes < at).mean()), 100 * float((no >= at).mean())) for at in thresholds]


def write_curves(path: Path, results: Mapping[str, Sequence[Result]]) -> None:
    curves = {name: refusal_curve(found) for name, found in group_results(results).items()}
    lines = {name: curve for name, curve in curves.items() if curve}
    title = "unanswerable questions answered by questions wrongly refused"
    plot_write(path, Plot(title, "answerable questions refused, %", "%", (), lines=lines))
