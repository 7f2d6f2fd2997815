"""Options of an SFTP source."""

from enum import StrEnum
from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, model_validator

from ingestion.sources.protocol import SourceOptions


class Permissions(StrEnum):
    """Where permissions are read."""

    ACCESS_LISTS = "access_lists"
    MODES = "modes"


class SftpOptions(SourceOptions):
    """`host_key` is the fingerprint of the server's key. `password` is that of the private key, if any."""

    host: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[^\s/@]+$",
        title=_("Server"),
        description=_("Its name or IP address, such as files.example.org."),
    )
    port: int = Field(default=22, ge=1, le=65535, title=_("Port"), description=_("Usually 22."))
    host_key: str = Field(
        default="",
        pattern=r"^(SHA256:[A-Za-z0-9+/]{43})?$",
        title=_("Fingerprint of the server’s key"),
        description=_(
            "It begins with SHA256:. Leave it empty for the first test, which shows it. Compare it with the "
            "output of ssh-keygen -lf on the server before you enter it: Cairn signs in to no other server."
        ),
    )
    username: str = Field(
        min_length=1,
        max_length=200,
        title=_("User name"),
        description=_("An account of its own, which may read everything that Cairn takes."),
    )
    password: SecretStr = Field(
        default=SecretStr(""),
        title=_("Password"),
        description=_("That of the account or, if you enter a private key, that of the key, if it has one."),
    )
    private_key: SecretStr = Field(
        default=SecretStr(""),
        title=_("Private key"),
        description=_(
            "Instead of a password: a key of the type Ed25519, ECDSA or RSA, as ssh-keygen writes it."
        ),
        json_schema_extra={"multiline": True},
    )
    folder: str = Field(
        default="/",
        min_length=1,
        max_length=500,
        pattern=r"^/",
        title=_("Folder"),
        description=_("Such as /srv/files. Subfolders are included."),
        json_schema_extra={"step": "selection"},
    )
    permissions: Permissions = Field(
        default=Permissions.ACCESS_LISTS,
        title=_("Read permissions from"),
        description=_(
            "Access lists are read with the program getfacl on the server. Choose modes only if the server "
            "has no access lists: a mode doesn’t show whom a list excludes."
        ),
        json_schema_extra={
            "step": "selection",
            "labels": {"access_lists": _("Modes and access lists"), "modes": _("Modes only")},
        },
    )

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if not (self.password.get_secret_value() or self.private_key.get_secret_value()):
            raise ValueError(_("Enter a password or a private key."))
        return self
