"""Weights of answerability fitted on an organisation's own questions. They belong to the embedding model."""

from retrieval.answering.answerability.calibration import Calibration
from retrieval.index.generations import active_generation
from retrieval.models import IndexGeneration


def calibration_of(generation: IndexGeneration | None) -> Calibration | None:
    """Fitted with this generation, or with an earlier one of the same model; None if none was."""
    if generation is None:
        return None
    alike = IndexGeneration.objects.filter(embedding_model=generation.embedding_model)
    stored = (
        alike.exclude(calibration={}).order_by("-created_at").values_list("calibration", flat=True).first()
    )
    return Calibration.model_validate(stored) if stored else None


def calibration_set(calibration: Calibration) -> None:
    """Set the calibration of the active generation, from the next question on."""
    calibration_forget()
    IndexGeneration.objects.filter(pk=active_generation().pk).update(calibration=calibration.model_dump())


def calibration_forget() -> None:
    """Return to the shipped calibration."""
    alike = IndexGeneration.objects.filter(embedding_model=active_generation().embedding_model)
    alike.update(calibration={})
