import pytest
from pydantic import ValidationError

from cairn.inference.registry import embedder
from retrieval.answering.answerability.calibration import Calibration, calibration_for
from retrieval.answering.answerability.signals import Signals

NONE = Signals(near=0, words=0, meaning=0, held=0, gap=0, uncounted=0, unnamed=0).as_dict()


def test_built_in_model_has_its_own_calibration() -> None:
    assert calibration_for(embedder().model).weights["near"]


def test_missing_signal_has_no_weight() -> None:
    own = Calibration(bias=0, weights={"near": 1, "relevance": 2}, threshold=0.5)
    assert calibration_for("somebody/else", {**NONE, "relevance": 0.5}, own=own) is own
    assert calibration_for("somebody/else", NONE, own=own).weights.keys() == {"words", "uncounted", "unnamed"}


def test_unknown_model_is_calibrated_by_words_and_names() -> None:
    assert calibration_for("somebody/else").weights.keys() == {"words", "uncounted", "unnamed"}


@pytest.mark.parametrize("bias", [-1e6, 1e6])
def test_no_weight_is_too_large(bias: float) -> None:
    certain = Calibration(bias=bias, weights={}, threshold=0.5).probability(NONE)
    assert certain == (bias > 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bias": float("nan"), "weights": {}, "threshold": 0.5},
        {"bias": 0, "weights": {"luck": 1}, "threshold": 0.5},
        {"bias": 0, "weights": {}, "threshold": 2},
    ],
)
def test_invalid_calibration_is_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate(wrong)
