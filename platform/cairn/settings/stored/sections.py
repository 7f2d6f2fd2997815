"""Registry of the settings that can be stored, by section of the console.

In every section, None means not set: the environment's value or the default applies.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from cairn.errors import InvalidInput
from cairn.messages import gettext_noop
from cairn.settings import environment
from cairn.settings.stored.contrast import is_readable

Line = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")


class Section(BaseModel):
    """`environment`: the field of `Environment` that a setting overrides. `variables`: the fields whose
    variables, if one of them is set, take precedence; if not given, the one of `environment`.
    `secrets` are encrypted, and never shown again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: ClassVar[str]
    environment: ClassVar[Mapping[str, str]] = {}
    variables: ClassVar[Mapping[str, Sequence[str]]] = {}
    secrets: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def variable_of(cls, name: str) -> str:
        """Return the environment variable that sets this setting; "" if none does."""
        own = cls.environment.get(name)
        candidates = cls.variables.get(name, (own,) if own else ())
        given = environment().model_fields_set
        return next((variable.upper() for variable in candidates if variable in given), "")

    def require_consistent(self, before: Self, changed: Collection[str]) -> None:
        """Raise InvalidInput if a change from `before` isn't safe. `changed`: names of changed settings."""


class Branding(Section):
    key = "branding"

    name: Annotated[str, Line, Field(max_length=40)] | None = Field(
        None, description="Name shown instead of Cairn"
    )
    accent_color: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")] | None = Field(
        None, description="Colour of links and buttons, such as #1d6252; dark enough to read on white"
    )
    sign_in_text: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="Text on the sign-in page"
    )

    @field_validator("accent_color")
    @classmethod
    def _require_contrast(cls, value: str | None) -> str | None:
        if value is not None and not is_readable(value):
            raise InvalidInput(
                gettext_noop(
                    "This accent colour is too light to read. Choose a darker one, with a contrast of at "
                    "least 4.5:1."
                )
            )
        return value


class General(Section):
    key = "general"
    environment = {
        "default_language": "default_language",
        "conversation_retention_days": "conversation_retention_days",
    }

    default_language: Literal["en", "de"] | None = Field(
        None, description="Interface language where neither the user nor the browser chooses one"
    )
    conversation_retention_days: Annotated[int, Field(ge=0, le=36500)] | None = Field(
        None, description="Days after which conversations that nobody has continued are deleted; 0: never"
    )


SECTIONS: Final[Mapping[str, type[Section]]] = {each.key: each for each in (Branding, General)}
