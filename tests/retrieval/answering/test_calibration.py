import pytest
from pydantic import ValidationError

from cairn.inference.registry import embedder
from retrieval.answering.answerability.calibration import Calibration, calibration_for
from retrieval.answering.answerability.signals import Signals

NONE = Signals(near=0, words=0, meaning=0, held=0, gap=0, uncounted=0, unnamed=0).as_dict()


def test_the_built_in_model_has_weights_of_its_own() -> None:
    assert calibration_for(embedder().model).weights["near"]


def test_a_signal_that_is_missing_has_no_weight() -> None:
    own = Calibration(bias=0, weights={"near": 1, "relevance": 2}, threshold=0.5)
    assert calibration_for("somebody/else", {**NONE, "relevance": 0.5}, own=own) is own
    assert calibration_for("somebody/else", NONE, own=own).weights.keys() == {"words", "uncounted", "unnamed"}


def test_an_unknown_model_is_judged_by_words_and_names_alone() -> None:
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
def test_a_calibration_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate(wrong)
