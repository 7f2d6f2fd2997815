"""Fitting the weights of answerability to questions whose answers are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cairn.errors import InvalidInput
from retrieval.answering.answerability.calibration import Calibration

SIGNALS: Final = ("near", "meaning", "held", "gap", "uncounted", "unnamed")
MAX_REFUSED_SHARE: Final = 0.06  # share of answerable questions; of new ones rather more are refused
MIN_QUESTIONS: Final = 10  # questions of either sort, below which weights would be a matter of luck
_FOLDS: Final = 5
_REPEATS: Final = 10
_PULL: Final = 0.3  # inverse strength of the pull to zero: questions are few
_SEED: Final = 0
_PLACES: Final = 3
_STEPS: Final = 200

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """`refusal_f1` and `wrongly_refused` are of questions that the weights were not fitted on."""

    calibration: Calibration
    refusal_f1: float
    wrongly_refused: float


def fit_calibration(
    signals: Sequence[Mapping[str, float]],
    answerable: Sequence[bool],
    *,
    names: Sequence[str] = SIGNALS,
    max_refused: float = MAX_REFUSED_SHARE,
) -> Fit:
    """Fit a logistic model with the threshold of best refusal F1 that refuses few answerable questions.

    `names`: the signals to use. A reranker's isn't among them by default: its scale is its own.
    Raises InvalidInput if there are too few questions that documents answer, or too few that none answers.
    """
    truth = np.array(answerable, dtype=bool)
    if min(truth.sum(), (~truth).sum()) < MIN_QUESTIONS:
        raise InvalidInput(
            f"Calibration needs at least {MIN_QUESTIONS} questions that documents answer and {MIN_QUESTIONS} "
            f"that none does; there are {truth.sum()} and {(~truth).sum()}."
        )
    values = np.array([[row.get(name, 0.0) for name in names] for row in signals], dtype=np.float64)
    threshold, f1, refused = _threshold(_unseen(values, truth), truth, max_refused)
    return Fit(_calibration(names, values, truth, threshold), f1, refused)


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=_PULL))


def _unseen(values: _Numbers, truth: NDArray[np.bool_]) -> _Numbers:
    """The probability of each question, averaged over models that were fitted without it."""
    folds = RepeatedStratifiedKFold(n_splits=_FOLDS, n_repeats=_REPEATS, random_state=_SEED)
    total = np.zeros(len(truth))
    for train, rest in folds.split(values, truth):
        total[rest] += _model().fit(values[train], truth[train]).predict_proba(values[rest])[:, 1]
    return total / _REPEATS


def _threshold(
    probabilities: _Numbers, truth: NDArray[np.bool_], max_refused: float
) -> tuple[float, float, float]:
    tried = [
        (*measure_refusals(probabilities < at, truth), float(at))
        for at in np.linspace(0, 1, _STEPS, endpoint=False)
    ]
    f1, refused, at = max(each for each in tried if each[1] <= max_refused)
    return at, f1, refused


def measure_refusals(refused: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the refusal F1, and the share of the answerable questions (`truth`) that are refused."""
    right, wrong, missed = (
        int(each.sum()) for each in (refused & ~truth, refused & truth, ~refused & ~truth)
    )
    return 2 * right / (2 * right + wrong + missed), wrong / int(truth.sum())


def _calibration(
    names: Sequence[str], values: _Numbers, truth: NDArray[np.bool_], threshold: float
) -> Calibration:
    """The weights for signals as they are, with the scaling multiplied in."""
    scaler, model = (step for _, step in _model().fit(values, truth).steps)
    weights = model.coef_[0] / scaler.scale_
    bias = float(model.intercept_[0] - weights @ scaler.mean_)
    return Calibration(
        bias=round(bias, _PLACES),
        weights={name: round(float(weight), _PLACES) for name, weight in zip(names, weights, strict=True)},
        threshold=round(threshold, _PLACES),
    )
