"""Weights of the signals that decide whether the evidence can answer a question.

Cosines of two embedding models are not comparable, so weights belong to a model. The shipped ones, in
`calibration.json`, were fitted on questions about one handbook (except for missing names, which weigh more
than the few such questions showed: rates of one town are not those of another); an organisation can fit its
own (`manage.py evaluate --calibrate`). For an unknown model, only words and names count.
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
_DEFAULT = ""


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

    def probability(self, signals: Signals) -> float:
        values = signals.as_dict()
        return logistic(self.bias + sum(weight * values[name] for name, weight in self.weights.items()))


class ShippedCalibration(Calibration):
    """`fitted_on`: names of the evaluation sets that the weights were fitted on."""

    fitted_on: tuple[str, ...] = Field(exclude=True)


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


@lru_cache
def _load_shipped() -> Mapping[str, ShippedCalibration]:
    text = (files("retrieval.answering.answerability") / "calibration.json").read_bytes()
    return TypeAdapter(dict[str, ShippedCalibration]).validate_json(text)


def calibration_for(model: str) -> Calibration:
    """Return the shipped calibration of an embedding model, matched by the beginning of its name."""
    shipped = _load_shipped()
    return next((shipped[name] for name in shipped if name and model.startswith(name)), shipped[_DEFAULT])
