"""Options of a SharePoint source."""

from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, model_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class SharepointOptions(SourceOptions):
    """`sites` are addresses, and `users` sign-in names; if there are neither, all sites are taken."""

    tenant: str = Field(
        max_length=200,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$",
        title=_("Tenant"),
        description=_("Directory (tenant) ID or domain of your organisation in Microsoft Entra."),
    )
    client_id: str = Field(
        max_length=100,
        title=_("Application ID"),
        description=_("Of the app registration that Cairn uses."),
    )
    certificate: SecretStr = Field(
        default=SecretStr(""),
        title=_("Certificate"),
        description=_(
            "Private key and certificate of the app registration as PEM. "
            "Needed for the members of SharePoint groups."
        ),
        json_schema_extra={"multiline": True},
    )
    client_secret: SecretStr = Field(
        default=SecretStr(""),
        title=_("Client secret"),
        description=_("If there is no certificate."),
    )
    sites: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        title=_("Sites"),
        description=_(
            "Addresses of sites, one a line. Leave this and the OneDrives empty to take all sites."
        ),
        json_schema_extra={"step": "selection"},
    )
    users: tuple[str, ...] = Field(
        default=(),
        max_length=2000,
        title=_("OneDrives"),
        description=_("Sign-in names of people whose OneDrive is taken, one a line."),
        json_schema_extra={"step": "selection"},
    )
    url: ServerUrl = Field(
        default="https://graph.microsoft.com/",
        max_length=500,
        title=_("Address of Microsoft Graph"),
        description=_("Another one only in national clouds."),
    )
    login_url: ServerUrl = Field(
        default="https://login.microsoftonline.com/",
        max_length=500,
        title=_("Address of the sign-in"),
        description=_("Another one only in national clouds."),
    )

    @model_validator(mode="after")
    def _require_credential(self) -> Self:
        if not self.certificate.get_secret_value() and not self.client_secret.get_secret_value():
            raise ValueError(_("Enter a certificate or a client secret."))
        return self
