"""The profile of the configured language model, for admins: how answers use it."""

from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.audit.services import record
from cairn.errors import InvalidInput
from cairn.settings.stored.store import effective_environment
from retrieval.conversations.answer_models import answer_profile
from retrieval.profile_store import profile_forget, profile_set, stored_profile
from retrieval.types import AnswerProfile
from web.api.framework.fields import Body, Flag
from web.http.authentication import needs, principal_of

router = Router(tags=["Models"], auth=needs(admin=True))

QuestionCount = Annotated[int, Field(ge=0, le=1_000_000)]
PromptVersion = Literal["answer-1", "answer-2", "answer-3"]


class Profile(Body):
    """Use of the language model in answers."""

    writes: Flag = Field(True, description="The model writes answers; if not, passages are quoted")
    prompt_version: PromptVersion = Field(
        "answer-2", description="answer-3: the model quotes the sentence it relies on before it answers"
    )
    evidence_tokens: Annotated[int, Field(ge=64, le=1_000_000)] | None = Field(
        None, description="Size of the passages that the model reads; null for as much as its context allows"
    )
    judges: Flag = Field(False, description="The model also decides if the passages contain the answer")

    def as_profile(self) -> AnswerProfile:
        return AnswerProfile(**self.model_dump())


class MeasuredProfile(Body):
    """Figures of a profile. `right`: questions answered, or refused, as expected."""

    profile: Profile
    right: QuestionCount
    wrongly_refused: Annotated[float, Field(ge=0, le=1)] | None = None
    first_token_ms: Annotated[float, Field(ge=0, le=86_400_000)] | None = None


class NewProfile(Body):
    """The profile to use, and the comparison it was chosen by."""

    profile: Profile
    measured: Annotated[list[MeasuredProfile], Field(max_length=100)] = []
    questions: QuestionCount = 0


class ModelProfile(BaseModel):
    """`profile` is what applies now: settings take precedence over the stored one. `measured` and
    `evaluated_at`: empty and null for a default profile.
    """

    model: str
    profile: Profile
    measured: list[MeasuredProfile]
    questions: int
    evaluated_at: datetime | None


def read_trial_profile(principal: Principal, profile: Profile | None) -> AnswerProfile | None:
    """Return the profile that a question asks to be answered with. Raises Forbidden for all but admins."""
    if profile is None:
        return None
    require_admin(principal)
    return profile.as_profile()


@router.get("", summary="Get the use of the language model", response=ModelProfile)
def profile_show(request: HttpRequest) -> ModelProfile:  # noqa: ARG001
    """Returns how answers use the configured language model."""
    name = effective_environment().chat_model_name
    row, current = stored_profile(name), answer_profile(writes=effective_environment().writes_answers)
    return ModelProfile(
        model=name,
        profile=Profile.model_validate(current, from_attributes=True),
        measured=row.measured if row else [],
        questions=row.questions if row else 0,
        evaluated_at=row.evaluated_at if row else None,
    )


@router.put("", summary="Set the use of the language model", response=ModelProfile)
def profile_put(request: HttpRequest, payload: NewProfile) -> ModelProfile:
    """Sets the profile of the configured language model, starting with the next question."""
    if any(each.right > payload.questions for each in payload.measured):
        raise InvalidInput("A profile can’t get more questions right than were asked.")
    profile_set(
        effective_environment().chat_model_name,
        payload.profile.as_profile(),
        measured=[each.model_dump() for each in payload.measured],
        questions=payload.questions,
    )
    record("models.profiled", actor=principal_of(request).actor, subject="model:chat")
    return profile_show(request)


@router.delete("", summary="Reset the use of the language model", response=ModelProfile)
def profile_delete(request: HttpRequest) -> ModelProfile:
    """Restores the default profile."""
    profile_forget(effective_environment().chat_model_name)
    record("models.profiled", actor=principal_of(request).actor, subject="model:chat")
    return profile_show(request)
