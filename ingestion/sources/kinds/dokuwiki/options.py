"""Options of a DokuWiki source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class DokuwikiOptions(SourceOptions):
    """`namespace` has no colons at its ends; "" is the whole wiki."""

    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the wiki"),
        description=_("Such as https://wiki.example.org/. The wiki’s setting “remote” must be on."),
    )
    username: str = Field(
        default="", max_length=200, title=_("User name"), description=_("Empty to sign in with a token.")
    )
    password: SecretStr = Field(
        title=_("Password or token"),
        description=_("Of a superuser of the wiki: only superusers can read its access rules."),
    )
    namespace: str = Field(
        default="",
        max_length=200,
        title=_("Namespace"),
        description=_("Take only this namespace, such as handbook:travel. Empty for the whole wiki."),
        json_schema_extra={"step": "selection"},
    )
    files: bool = Field(
        default=True,
        title=_("Files"),
        description=_("Also take uploaded files."),
        json_schema_extra={"step": "selection"},
    )

    @field_validator("namespace")
    @classmethod
    def _trim_namespace(cls, namespace: str) -> str:
        return namespace.strip(":")
