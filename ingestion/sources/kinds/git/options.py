"""Options of a Git source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class GitOptions(SourceOptions):
    """`folder` has no slashes at its ends; "" is the whole repository. `branch` is "" for the default one."""

    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the repository"),
        description=_("As for git clone over HTTPS, such as https://git.example.org/team/handbook.git."),
    )
    username: str = Field(
        default="", max_length=200, title=_("User name"), description=_("Empty if everyone may clone it.")
    )
    password: SecretStr = Field(
        default=SecretStr(""),
        title=_("Password or token"),
        description=_("An access token with permission to read the repository is enough."),
    )
    branch: str = Field(
        default="",
        max_length=200,
        title=_("Branch"),
        description=_("Empty for the default branch."),
        json_schema_extra={"step": "selection"},
    )
    folder: str = Field(
        default="",
        max_length=500,
        title=_("Folder"),
        description=_("Take only this folder, such as docs. Empty for the whole repository."),
        json_schema_extra={"step": "selection"},
    )
    page_url: str = Field(
        default="",
        max_length=500,
        title=_("Address of a file on the web"),
        description=_(
            "Link from answers to a file, with {path} for its path, such as "
            "https://git.example.org/team/handbook/src/branch/main/{path}. Empty for no link."
        ),
    )

    @field_validator("folder")
    @classmethod
    def _trim_folder(cls, folder: str) -> str:
        return folder.strip("/")

    @field_validator("page_url")
    @classmethod
    def _check_page_url(cls, url: str) -> str:
        if url and (not url.startswith(("https://", "http://")) or url.count("{path}") != 1):
            raise ValueError(
                _("Enter an address that starts with https:// or http:// and contains {path} once.")
            )
        return url
