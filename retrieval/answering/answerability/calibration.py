"""Weights of the signals that decide whether the evidence can answer a question.

Cosines of two embedding models are not comparable, so weights belong to a model, and to the signals at hand:
without a reranker, other weights apply. `calibration.json` has the shipped ones, each with the evaluation
sets that it was fitted on; an organisation can fit its own (`manage.py evaluate --calibrate`). For an unknown
model, only words and names count.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from retrieval.answering.answerability.signals import Signals

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_NAMES = frozenset(Signals.__dataclass_fields__)


class Calibration(BaseModel):
    """A logistic model for the probability that the evidence contains an answer, and the threshold to try
    one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bias: _Finite
    weights: dict[str, _Finite]
    threshold: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check_signal_names(self) -> Self:
        if unknown := sorted(self.weights.keys() - _NAMES):
            raise ValueError(f"unknown signals: {', '.join(unknown)}")
        return self

    def applies_to(self, values: Mapping[str, float]) -> bool:
        return self.weights.keys() <= values.keys()

    def probability(self, values: Mapping[str, float]) -> float:
        return logistic(self.bias + sum(weight * values[name] for name, weight in self.weights.items()))


class ShippedCalibration(Calibration):
    """`embedder`: the beginning of an embedding model's name, empty for any. `reranker`: whose scores count,
    if it uses them. `fitted_on`: evaluation sets."""

    embedder: str = Field(exclude=True)
    reranker: str = Field("", exclude=True)
    fitted_on: tuple[str, ...] = Field(exclude=True)


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


@lru_cache
def load_shipped_calibrations() -> tuple[ShippedCalibration, ...]:
    text = (files("retrieval.answering.answerability") / "calibration.json").read_bytes()
    return TypeAdapter(tuple[ShippedCalibration, ...]).validate_json(text)


def calibration_for(
    embedder: str,
    values: Mapping[str, float] | None = None,
    *,
    own: Calibration | None = None,
    reranker: str = "",
) -> Calibration:
    """Return the organisation's own calibration if its signals are known, else the shipped one that uses most
    of them. `values`: None for all that there can be with this reranker."""
    known = dict.fromkeys(_NAMES - (set() if reranker else {"relevance"}), 0.0) if values is None else values
    if own is not None and own.applies_to(known):
        return own
    shipped = (each for each in load_shipped_calibrations() if each.reranker in {"", reranker})
    fitting = [each for each in shipped if each.applies_to(known)]
    named = [each for each in fitting if each.embedder and embedder.startswith(each.embedder)]
    return max(named or [each for each in fitting if not each.embedder], key=lambda each: len(each.weights))
