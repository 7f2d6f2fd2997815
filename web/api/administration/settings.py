"""The settings that admins store, and the logo. Environment variables take precedence over them."""

from datetime import datetime
from typing import Generic, Self, TypeVar

from django.db import transaction
from django.http import HttpRequest
from ninja import File, Router, Status, UploadedFile
from pydantic import BaseModel, Field

from cairn.errors import NotFound
from cairn.settings.stored.models import Logo, StoredSection
from cairn.settings.stored.sections import Branding, General, LanguageModel, Mail, Section, SignIn
from cairn.settings.stored.store import decode
from web.api.framework.fields import Body, Count, Reason
from web.configuration.services import logo_remove, logo_set, section_change
from web.http.authentication import needs, principal_of

router = Router(tags=["Settings"], auth=needs(admin=True))
S = TypeVar("S", bound=Section)


class SectionState(BaseModel, Generic[S]):
    """`values`: the stored values; null: not set. `secrets_set`: the secrets that are stored, whose values
    are never returned. `set_by_environment`: the variable that takes precedence, by setting.
    """

    version: int
    values: S
    secrets_set: list[str]
    set_by_environment: dict[str, str]
    changed_at: datetime | None

    @classmethod
    def of(cls, section: type[S], row: StoredSection | None) -> Self:
        found = decode(section, row.values if row else {})
        secrets = sorted(name for name in section.secrets if getattr(found, name) is not None)
        names = section.model_fields
        return cls(
            version=row.version if row else 0,
            values=found.model_copy(update=dict.fromkeys(section.secrets)),
            secrets_set=secrets,
            set_by_environment={name: variable for name in names if (variable := section.variable_of(name))},
            changed_at=row.changed_at if row else None,
        )


class BrandingState(SectionState[Branding]):
    pass


class LanguageModelState(SectionState[LanguageModel]):
    pass


class SignInState(SectionState[SignIn]):
    pass


class MailState(SectionState[Mail]):
    pass


class GeneralState(SectionState[General]):
    pass


class Settings(BaseModel):
    """`logo`: whether there is one."""

    branding: BrandingState
    language_model: LanguageModelState
    sign_in: SignInState
    mail: MailState
    general: GeneralState
    logo: bool


class SectionPatch(Body, Generic[S]):
    """`version`: the one that was read; if it has changed, the answer is 409. In `values`, absent settings
    are unchanged, and null resets one.
    """

    version: Count = Field(ge=0)
    values: S


class BrandingPatch(SectionPatch[Branding]):
    pass


class LanguageModelPatch(SectionPatch[LanguageModel]):
    """`override_reason`: why a model is to answer although it is significantly worse than the one before."""

    override_reason: Reason = ""


class SignInPatch(SectionPatch[SignIn]):
    pass


class MailPatch(SectionPatch[Mail]):
    pass


class GeneralPatch(SectionPatch[General]):
    pass


class SettingsPatch(Body):
    branding: BrandingPatch | None = None
    language_model: LanguageModelPatch | None = None
    sign_in: SignInPatch | None = None
    mail: MailPatch | None = None
    general: GeneralPatch | None = None


@router.get("", summary="Get the settings made in the interface", response=Settings)
def settings_show(request: HttpRequest) -> Settings:  # noqa: ARG001
    """Returns the settings that can be changed while Cairn runs."""
    rows = StoredSection.objects.in_bulk()
    return Settings(
        branding=BrandingState.of(Branding, rows.get(Branding.key)),
        language_model=LanguageModelState.of(LanguageModel, rows.get(LanguageModel.key)),
        sign_in=SignInState.of(SignIn, rows.get(SignIn.key)),
        mail=MailState.of(Mail, rows.get(Mail.key)),
        general=GeneralState.of(General, rows.get(General.key)),
        logo=Logo.objects.exists(),
    )


@router.patch("", summary="Change settings", response=Settings)
def settings_change(request: HttpRequest, payload: SettingsPatch) -> Settings:
    """Changes settings, all or none. They take effect within seconds, in all processes. A setting that an
    environment variable sets can't be changed: 409. So is a language model that a current comparison shows to
    be significantly worse than the one that answers (`model_worse`): then send `override_reason`.
    """
    with transaction.atomic():
        for name in sorted(payload.model_fields_set):
            patch: SectionPatch[Section] | None = getattr(payload, name)
            if patch is None:
                continue
            sent = patch.values.model_fields_set
            section_change(
                section=type(patch.values),
                changes={name: getattr(patch.values, name) for name in sent},
                version=patch.version,
                actor=principal_of(request).actor,
                override_reason=getattr(patch, "override_reason", ""),
            )
    return settings_show(request)


@router.post("/logo", summary="Upload a logo", response={204: None})
def settings_logo_set(request: HttpRequest, file: File[UploadedFile]) -> Status[None]:
    """Replaces the logo by a PNG, JPEG or WebP image of at most 2 MB and 4096 pixels per side."""
    logo_set(file=file, actor=principal_of(request).actor)
    return Status(204, None)


@router.delete("/logo", summary="Remove the logo", response={204: None})
def settings_logo_delete(request: HttpRequest) -> Status[None]:
    """Removes the logo."""
    if not logo_remove(actor=principal_of(request).actor):
        raise NotFound
    return Status(204, None)
