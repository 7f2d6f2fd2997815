"""Entailment of a sentence by passages, judged by an NLI model."""

import logging
from collections.abc import Sequence
from enum import Enum, auto

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Inference, NaturalLanguageInference
from cairn.telemetry.metrics import count_model_failure
from cairn.telemetry.throttled_log import ThrottledLogger

MIN_ENTAILMENT = 0.7
MIN_CONTRADICTION = 0.5

_throttled_log = ThrottledLogger(logging.getLogger(__name__))


class Meaning(Enum):
    SAME = auto()
    OPPOSITE = auto()
    OTHER = auto()


def infer_meanings(model: NaturalLanguageInference, pairs: Sequence[tuple[str, str]]) -> list[Meaning] | None:
    """Classify each (premise, hypothesis) in one call; None if the model is unavailable."""
    if not pairs:
        return []
    try:
        return [_meaning(found) for found in model.infer(pairs)]
    except (Unavailable, ConfigurationError) as error:
        count_model_failure("grounding")
        _throttled_log.warn(f"sentences are checked by their embeddings: {error.message}")
        return None


def _meaning(found: Inference) -> Meaning:
    if found.contradiction >= MIN_CONTRADICTION:
        return Meaning.OPPOSITE
    return Meaning.SAME if found.entailment >= MIN_ENTAILMENT else Meaning.OTHER
