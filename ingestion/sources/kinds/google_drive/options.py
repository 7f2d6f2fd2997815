"""Options of a Google Drive source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class GoogleDriveOptions(SourceOptions):
    """`drives` and `folders` are ids; if there are neither, all shared drives of the account are taken."""

    key: SecretStr = Field(
        title=_("Key of the service account"),
        description=_("The content of the JSON file that Google Cloud gives you with a new key."),
        json_schema_extra={"multiline": True},
    )
    account: str = Field(
        max_length=200,
        pattern=r"^[^@\s]+@[^@\s]+$",
        title=_("Account"),
        description=_(
            "Email address of the account in whose name the service account reads: a member of the shared "
            "drives that may also read users and groups."
        ),
    )
    drives: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        title=_("Shared drives"),
        description=_(
            "IDs of shared drives, one a line. Leave this and the folders empty to take all shared drives."
        ),
        json_schema_extra={"step": "selection"},
    )
    folders: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        title=_("Folders"),
        description=_(
            "IDs of folders, one a line, such as the last part of a folder’s address. They are listed "
            "completely at each sync."
        ),
        json_schema_extra={"step": "selection"},
    )
    url: ServerUrl = Field(
        default="https://www.googleapis.com/",
        max_length=500,
        title=_("Address of Google Drive"),
        description=_("Another one only behind a gateway of your own."),
    )
    directory_url: ServerUrl = Field(
        default="https://admin.googleapis.com/",
        max_length=500,
        title=_("Address of the directory"),
        description=_("Another one only behind a gateway of your own."),
    )
    login_url: ServerUrl = Field(
        default="https://oauth2.googleapis.com/",
        max_length=500,
        title=_("Address of the sign-in"),
        description=_("Another one only behind a gateway of your own."),
    )
