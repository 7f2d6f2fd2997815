"""Registry of the settings that can be stored, by section of the console.

Each section is stored under its key, and further identity providers under keys of their own.

In every section, None means not set: the environment's value or the default applies.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from cairn.errors import InvalidInput
from cairn.hidden_characters import visible
from cairn.messages import gettext_noop
from cairn.settings import environment
from cairn.settings.identity import OidcProvider, require_https
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

    def require_consistent(self, before: Self, sent: Collection[str]) -> None:
        """Raise InvalidInput if a change from `before` isn't safe. `sent`: names of the settings that were
        entered, even if their values are the same."""


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


class LanguageModel(Section):
    """Language model on one server. Only variables name several servers, or a model in this process."""

    key = "language_model"
    environment = {
        "base_url": "llm_base_url",
        "api_key": "llm_api_key",
        "model": "llm_model",
        "context_tokens": "llm_context_tokens",
        "system_role": "llm_system_role",
    }
    # A key is sent to no server but its own, and a model's name means something to its server only.
    variables = dict.fromkeys(
        ("base_url", "api_key", "model"), ("llm_base_url", "llm_api_key", "llm_model", "llm_class")
    )
    secrets = frozenset({"api_key"})

    base_url: Annotated[str, Line, Field(max_length=500)] | None = Field(
        None, description="OpenAI-compatible server, such as https://llm.example.org/v1"
    )
    api_key: Annotated[str, Line, Field(max_length=1000)] | None = Field(
        None, description="Key for the server; never returned"
    )
    model: Annotated[str, Line, Field(max_length=200)] | None = Field(
        None, description="Name under which the server serves the model"
    )
    context_tokens: Annotated[int, Field(ge=512, le=10_000_000)] | None = Field(
        None, description="Context window of the model, in tokens"
    )
    system_role: bool | None = Field(
        None, description="Whether the model's chat template supports a system role"
    )

    @field_validator("base_url")
    @classmethod
    def _require_server(cls, value: str | None) -> str | None:
        return value if value is None else require_server_url(value)

    def require_consistent(self, before: Self, sent: Collection[str]) -> None:
        if (self.base_url is None) != (self.model is None):
            raise InvalidInput(gettext_noop("Enter both the server’s address and the name of its model."))
        moved = self.base_url is not None and _origin(self.base_url) != _origin(before.base_url or "")
        _require_secret(self, "api_key", moved=moved, sent=sent)


class Mail(Section):
    key = "mail"
    environment = {
        "host": "smtp_host",
        "port": "smtp_port",
        "security": "smtp_security",
        "user": "smtp_user",
        "password": "smtp_password",
        "sender": "mail_from",
    }
    # A password is sent to no server but its own.
    variables = dict.fromkeys(
        ("host", "port", "security", "user", "password"), ("smtp_host", "smtp_user", "smtp_password")
    )
    secrets = frozenset({"password"})

    host: Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9.:-]+$")] | None = Field(
        None, description="Name of the mail server, such as smtp.example.org"
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="Its port")
    security: Literal["starttls", "tls", "none"] | None = Field(
        None, description="How the connection is encrypted"
    )
    user: Annotated[str, Line, Field(max_length=255)] | None = Field(
        None, description="User name at the mail server"
    )
    password: Annotated[str, Line, Field(max_length=1000)] | None = Field(
        None, description="Password at the mail server; never returned"
    )
    sender: Annotated[str, Line, Field(max_length=320, pattern=r"^.+@.+$")] | None = Field(
        None, description="Sender of mail, such as Cairn <cairn@example.org>"
    )

    def require_consistent(self, before: Self, sent: Collection[str]) -> None:
        if self.host is not None and self.sender is None and not self.variable_of("sender"):
            raise InvalidInput(gettext_noop("Enter a sender, too."))
        server = (self.host, self.port, self.security)
        moved = self.host is not None and server != (before.host, before.port, before.security)
        _require_secret(self, "password", moved=moved, sent=sent)


class SignIn(Section):
    """Identity provider in place of those of the file that IDENTITY_PROVIDERS names.

    `further`: prefix of the keys of further ones.
    """

    key = "sign_in"
    further: ClassVar[str] = "sign_in:"
    variables = dict.fromkeys(
        ("name", "server_url", "client_id", "client_secret", "admin_group"), ("identity_providers",)
    )
    secrets = frozenset({"client_secret"})

    name: Annotated[str, Line, Field(max_length=60)] | None = Field(
        None, description="Name of the provider, on the sign-in page"
    )
    server_url: Annotated[str, Line, Field(max_length=500)] | None = Field(
        None, description="OpenID Connect issuer, such as https://login.example.org/realms/staff"
    )
    client_id: Annotated[str, Line, Field(max_length=255)] | None = Field(
        None, description="Name under which the provider knows Cairn"
    )
    client_secret: Annotated[str, Line, Field(max_length=1000)] | None = Field(
        None, description="Secret for the provider; never returned"
    )
    admin_group: Annotated[str, Line, Field(max_length=255)] | None = Field(
        None, description="Group of the provider whose members are admins"
    )

    @field_validator("name")
    @classmethod
    def _show_all_characters(cls, value: str | None) -> str | None:
        """Leave out invisible characters, with which two buttons would look alike."""
        return value if value is None else " ".join(visible(value).split())

    @field_validator("server_url")
    @classmethod
    def _require_https(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return require_https(require_server_url(value)).rstrip("/")
        except ValueError as error:
            raise InvalidInput(gettext_noop("The address must start with https://.")) from error

    def require_consistent(self, before: Self, sent: Collection[str]) -> None:
        needed = (self.name, self.server_url, self.client_id)
        if any(needed) and not all(needed):
            raise InvalidInput(ENTER_PROVIDER)
        moved = self.server_url not in (None, before.server_url)
        if moved and any(mark in str(self.server_url) for mark in "?#"):  # also with nothing after it
            raise InvalidInput(ENTER_WEB_ADDRESS)
        _require_secret(self, "client_secret", moved=moved, sent=sent)

    def is_same_provider(self, other: Self) -> bool:
        """Return whether both have the same address, however it is spelled, or the same accounts."""
        if self.provider is None or other.provider is None:
            return False
        addresses = {_spell_plainly(each.provider.server_url) for each in (self, other) if each.provider}
        return len(addresses) == 1 or self.provider.id == other.provider.id

    @property
    def provider(self) -> OidcProvider | None:
        """The provider. Its id follows its address: people of another one must not get these accounts."""
        if not (self.name and self.server_url and self.client_id):
            return None
        return OidcProvider(
            id=f"sso-{hashlib.sha256(self.server_url.encode()).hexdigest()[:12]}",
            name=self.name,
            server_url=self.server_url,
            client_id=self.client_id,
            client_secret=SecretStr(self.client_secret or ""),
            admin_group=self.admin_group or "",
        )


ENTER_PROVIDER: Final = gettext_noop("Enter the provider’s name, its address and the client id.")
ENTER_WEB_ADDRESS: Final = gettext_noop("Enter a web address, such as https://llm.example.org/v1.")
ENTER_SECRET_AGAIN: Final = gettext_noop(
    "The address has changed, so enter the secret again: a stored one is sent only to the server that it was "
    "entered for."
)


def require_server_url(url: str) -> str:
    """Return the URL of a server. Raises InvalidInput for others, and for addresses no server has.

    A variable may list several after commas, so one that is stored has none: its secret is for one server.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    separated = any(character in ",\\" or character.isspace() for character in url)
    if separated or not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise InvalidInput(ENTER_WEB_ADDRESS)
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(gettext_noop("The address may not contain a user name or password."))
    return url


def _require_secret(section: Section, name: str, *, moved: bool, sent: Collection[str]) -> None:
    """Raise InvalidInput if a stored secret would be sent to a server that it wasn't entered for."""
    if moved and getattr(section, name) is not None and name not in sent:
        raise InvalidInput(ENTER_SECRET_AGAIN)


def _spell_plainly(url: str) -> tuple[str, int, str]:
    parts = urlsplit(url)
    default = 80 if parts.scheme == "http" else 443
    return parts.hostname or "", parts.port or default, parts.path.rstrip("/")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


SECTIONS: Final[Mapping[str, type[Section]]] = {
    each.key: each for each in (Branding, LanguageModel, SignIn, Mail, General)
}


def section_for(key: str) -> type[Section] | None:
    """Return the section that is stored under a key."""
    return SignIn if key.startswith(SignIn.further) else SECTIONS.get(key)
