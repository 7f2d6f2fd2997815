"""The measured profile of a language model: the use of it that answered most gold questions."""

from dataclasses import asdict
from typing import Any, Final

from django.utils import timezone
from pydantic import TypeAdapter

from retrieval.models import ModelProfile
from retrieval.types import AnswerProfile

_PROFILE: Final = TypeAdapter(AnswerProfile)


def stored_profile(chat_model: str) -> ModelProfile | None:
    return ModelProfile.objects.filter(chat_model=chat_model).first()


def read_profile(row: ModelProfile) -> AnswerProfile:
    return _PROFILE.validate_python(row.profile)


def profile_set(
    chat_model: str, profile: AnswerProfile, *, measured: list[dict[str, Any]], questions: int
) -> None:
    """Use the model in this way from the next question on. `measured`: one row for each profile compared."""
    values = {
        "profile": asdict(profile),
        "measured": measured,
        "questions": questions,
        "evaluated_at": timezone.now(),
    }
    ModelProfile.objects.update_or_create(chat_model=chat_model, defaults=values)


def profile_forget(chat_model: str) -> None:
    """Return to the default use of the model."""
    ModelProfile.objects.filter(chat_model=chat_model).delete()
