"""What an NLI model says of a sentence and the passages that may support it."""

import logging
from collections.abc import Sequence
from enum import Enum, auto

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Inference, NaturalLanguageInference
from cairn.telemetry.measured import model_failed
from retrieval.rarely import Rarely

ENTAILED = 0.7
CONTRADICTED = 0.5

_trouble = Rarely(logging.getLogger(__name__))


class Meaning(Enum):
    SAME = auto()
    OPPOSITE = auto()
    OTHER = auto()


def meanings(model: NaturalLanguageInference, pairs: Sequence[tuple[str, str]]) -> list[Meaning] | None:
    """Of each (premise, hypothesis), in one call; None if the model cannot be had now."""
    if not pairs:
        return []
    try:
        return [_meaning(found) for found in model.infer(pairs)]
    except (Unavailable, ConfigurationError) as error:
        model_failed("grounding")
        _trouble.warn(f"sentences are checked by their embeddings: {error.message}")
        return None


def _meaning(found: Inference) -> Meaning:
    if found.contradiction >= CONTRADICTED:
        return Meaning.OPPOSITE
    return Meaning.SAME if found.entailment >= ENTAILED else Meaning.OTHER
