"""Mapping of a model's class names to entailment, neutral and contradiction."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EntailmentLabels:
    """Indexes of the classes; models with two classes have no contradiction."""

    entailment: int
    contradiction: int | None = None
    neutral: int | None = None


def entailment_labels(labels: Sequence[str]) -> EntailmentLabels | None:
    """Find the labels in any order and case, such as CONTRADICTION, neutral, Entailment or entailment,
    not_entailment."""
    entailment = _place(labels, "entail")
    if entailment is None or len(labels) < 2:
        return None
    return EntailmentLabels(entailment, _place(labels, "contra"), _place(labels, "neutral"))


def _place(labels: Sequence[str], beginning: str) -> int | None:
    places = [place for place, label in enumerate(labels) if label.casefold().strip().startswith(beginning)]
    return places[0] if places else None
