"""Options of a share."""

from typing import Literal

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions

MAX_PORT = 65535


class SmbOptions(SourceOptions):
    """`folder` is relative to the share, with slashes, and "" for all of it."""

    server: str = Field(
        max_length=253,
        title=_("Server"),
        description=_("Name of the file server, such as files.example.org."),
    )
    port: int = Field(default=445, ge=1, le=MAX_PORT, title=_("Port"), description=_("Usually 445."))
    share: str = Field(
        min_length=1, max_length=80, title=_("Share"), description=_("Name of the share, such as “Projects”.")
    )
    folder: str = Field(
        default="",
        max_length=500,
        title=_("Folder"),
        description=_("A folder in the share, such as “Handbook/2026”. Empty for the whole share."),
        json_schema_extra={"step": "selection"},
    )
    username: str = Field(
        min_length=1,
        max_length=200,
        title=_("User name"),
        description=_("An account that may read all files and their permissions, such as EXAMPLE\\cairn."),
    )
    password: SecretStr = Field(title=_("Password"), description=_("The password of this account."))
    encrypt: bool = Field(
        default=True,
        title=_("Encrypt the connection"),
        description=_("Turn off only for servers that don’t support SMB 3."),
    )
    share_permissions: Literal["read", "everyone"] = Field(
        default="read",
        title=_("Permissions of the share"),
        description=_(
            "“read”: read them from the server, which requires an administrator’s account on most servers. "
            "“everyone”: the share itself restricts nobody, so only the permissions of the files count."
        ),
    )
    directory_server: str = Field(
        default="",
        max_length=253,
        title=_("Domain controller"),
        description=_(
            "Name of a domain controller that supports LDAPS, such as dc1.example.org. Without it, Cairn "
            "knows no people and groups, and only what everyone may read becomes readable."
        ),
    )
    directory_port: int = Field(
        default=636, ge=1, le=MAX_PORT, title=_("LDAPS port"), description=_("Usually 636.")
    )
    directory_username: str = Field(
        default="",
        max_length=200,
        title=_("User name at the domain controller"),
        description=_("Such as EXAMPLE\\cairn or cairn@example.org. Empty for the same account as above."),
    )
    directory_password: SecretStr = Field(
        default=SecretStr(""),
        title=_("Password at the domain controller"),
        description=_("Empty for the same account as above."),
    )
    directory_certificate: str = Field(
        default="",
        max_length=100_000,
        title=_("Certificate authority"),
        description=_("The certificate of the authority that issued the domain controller’s, in PEM format."),
    )

    @field_validator("server", "directory_server")
    @classmethod
    def _check_server(cls, name: str) -> str:
        if any(character in name for character in "/\\ @"):
            raise ValueError(_("Enter the name of the server only."))
        return name

    @field_validator("share")
    @classmethod
    def _check_share(cls, name: str) -> str:
        if any(character in name for character in '/\\:*?"<>|'):
            raise ValueError(_("Enter the name of the share only."))
        return name

    @field_validator("folder")
    @classmethod
    def _check_folder(cls, path: str) -> str:
        parts = [part for part in path.replace("\\", "/").split("/") if part]
        if any(part in {".", ".."} or ":" in part for part in parts):
            raise ValueError(_("Enter a path below the share, without “..” and “:”."))
        return "/".join(parts)
