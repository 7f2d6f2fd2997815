"""Identity providers, from the TOML file that IDENTITY_PROVIDERS names."""

import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from cairn.errors import ConfigurationError

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class _Provider(BaseModel):
    """`groups`, `username`, `display_name`, `scim`: names of the claims or attributes that tell a person's
    groups, their user name, their display name, and the id by which SCIM knows them.
    `second_factor`: the provider asks for one itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    name: str = Field(min_length=1, max_length=60)
    groups: str = "groups"
    username: str
    display_name: str = "name"
    scim: str = ""
    allowed_groups: frozenset[str] = frozenset()
    admin_group: str = ""
    second_factor: bool = False


class OidcProvider(_Provider):
    server_url: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    username: str = "preferred_username"

    @property
    def source(self) -> str:
        return f"oidc:{self.id}"

    @field_validator("server_url")
    @classmethod
    def _safe(cls, value: str) -> str:
        return require_https(value).rstrip("/")

    @property
    def secret(self) -> str:
        path = self.client_secret_file
        return path.read_text(encoding="utf-8").strip() if path else self.client_secret.get_secret_value()


class SamlProvider(_Provider):
    """`certificate`: of the provider, PEM; `sp_entity_id`: what it calls Cairn, its metadata's address if
    empty. `signed`: what it signs."""

    entity_id: str = Field(min_length=1)
    sso_url: str
    slo_url: str = ""
    certificate: str = ""
    certificate_file: Path | None = None
    sp_entity_id: str = ""
    subject: str = ""
    username: str = "username"
    display_name: str = "displayName"
    email: str = "email"
    signed: Annotated[str, Field(pattern="^(assertion|response)$")] = "assertion"

    @property
    def source(self) -> str:
        return f"saml:{self.id}"

    @field_validator("sso_url")
    @classmethod
    def _safe(cls, value: str) -> str:
        return require_https(value)

    @model_validator(mode="after")
    def _require_certificate(self) -> "SamlProvider":
        if not (self.certificate or self.certificate_file):
            raise ValueError("certificate or certificate_file is missing")
        return self

    @property
    def x509cert(self) -> str:
        path = self.certificate_file
        return path.read_text(encoding="utf-8") if path else self.certificate


IdentityProvider = OidcProvider | SamlProvider


class IdentityProviders(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    oidc: tuple[OidcProvider, ...] = ()
    saml: tuple[SamlProvider, ...] = ()

    @property
    def all(self) -> tuple[IdentityProvider, ...]:
        return (*self.oidc, *self.saml)

    @model_validator(mode="after")
    def _require_distinct(self) -> "IdentityProviders":
        ids = [provider.id for provider in self.all]
        if len(ids) != len(set(ids)):
            raise ValueError("two providers have the same id")
        return self


def require_https(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return url
    raise ValueError("must start with https://")


def identity_providers(path: Path | None) -> IdentityProviders:
    """Raises ConfigurationError, which repeats no value: it could be a secret."""
    if path is None:
        return IdentityProviders()
    try:
        return IdentityProviders.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"IDENTITY_PROVIDERS, {path}: {problems}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"IDENTITY_PROVIDERS, {path}: {error}") from None


def allauth_settings(providers: IdentityProviders) -> dict[str, Any]:
    """Return the settings in allauth's format."""
    return {
        "openid_connect": {"APPS": [_oidc(provider) for provider in providers.oidc]},
        "saml": {"APPS": [_saml(provider) for provider in providers.saml]},
    }


def _oidc(provider: OidcProvider) -> dict[str, Any]:
    return {
        "provider_id": provider.id,
        "name": provider.name,
        "client_id": provider.client_id,
        "secret": provider.secret,
        "settings": {
            "server_url": provider.server_url,
            "scope": list(provider.scopes),
            "oauth_pkce_enabled": True,
        },
    }


def _saml(provider: SamlProvider) -> dict[str, Any]:
    mapping = {"uid": provider.subject, "username": provider.username, "email": provider.email}
    return {
        "provider_id": provider.id,
        "name": provider.name,
        "client_id": provider.id,
        "settings": {
            "idp": {
                "entity_id": provider.entity_id,
                "sso_url": provider.sso_url,
                "x509cert": provider.x509cert,
                **({"slo_url": provider.slo_url} if provider.slo_url else {}),
            },
            "sp": {"entity_id": provider.sp_entity_id} if provider.sp_entity_id else {},
            "attribute_mapping": {name: attribute for name, attribute in mapping.items() if attribute},
            "advanced": {
                "want_assertion_signed": provider.signed == "assertion",
                "want_message_signed": provider.signed == "response",
                "want_attribute_statement": False,
                "allow_single_label_domains": True,
                "want_name_id": not provider.subject,
            },
        },
    }
