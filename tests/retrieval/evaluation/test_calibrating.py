import random

import pytest

from cairn.errors import InvalidInput
from retrieval.answering.answerability.signals import Signals
from retrieval.evaluation.calibration_fit import MAX_REFUSED_SHARE, SIGNALS, fit_calibration

NONE = Signals(near=0, words=0, meaning=0, held=0, gap=0, uncounted=0, unnamed=0).as_dict()


def questions(count: int, *, near: float, unnamed: float, seed: int) -> list[dict[str, float]]:
    chance = random.Random(seed)
    return [
        {**NONE, "near": chance.gauss(near, 0.1), "unnamed": float(chance.random() < unnamed)}
        for _ in range(count)
    ]


@pytest.mark.slow
def test_calibration_weighs_only_informative_signals() -> None:
    signals = questions(60, near=0.7, unnamed=0.1, seed=1) + questions(30, near=0.4, unnamed=0.6, seed=2)
    fit = fit_calibration(signals, [True] * 60 + [False] * 30)
    weights = fit.calibration.weights
    assert weights["near"] > 1
    assert weights["unnamed"] < -0.5
    assert weights["gap"] == 0
    assert fit.wrongly_refused <= MAX_REFUSED_SHARE
    assert fit.refusal_f1 > 0.8
    assert fit.calibration.probability({**NONE, "near": 0.8}) >= fit.calibration.threshold
    assert fit.calibration.probability({**NONE, "near": 0.2}) < fit.calibration.threshold


@pytest.mark.slow
def test_uninformative_signals_answer_nearly_everything() -> None:
    signals = questions(100, near=0.5, unnamed=0.3, seed=3)
    fit = fit_calibration(signals, [at % 3 > 0 for at in range(100)])
    assert fit.wrongly_refused <= MAX_REFUSED_SHARE


@pytest.mark.slow
def test_same_questions_give_the_same_weights() -> None:
    signals = questions(20, near=0.7, unnamed=0, seed=4) + questions(20, near=0.5, unnamed=1, seed=5)
    truth = [True] * 20 + [False] * 20
    assert fit_calibration(signals, truth) == fit_calibration(signals, truth)


@pytest.mark.parametrize("answerable", [[], [True] * 50, [True] * 9 + [False] * 50])
def test_too_few_questions_are_refused(answerable: list[bool]) -> None:
    with pytest.raises(InvalidInput, match="at least 10"):
        fit_calibration([NONE] * len(answerable), answerable)


def test_calibrated_signals_exist() -> None:
    assert set(SIGNALS) <= set(Signals.__dataclass_fields__)
