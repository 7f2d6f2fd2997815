"""Options of a WebDAV source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class WebdavOptions(SourceOptions):
    """`url` ends with a slash and has no credentials in it."""

    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the folder"),
        description=_(
            "Such as https://cloud.example.org/remote.php/dav/files/cairn/Handbook/. Subfolders are included."
        ),
    )
    username: str = Field(
        default="", max_length=200, title=_("User name"), description=_("Empty if the server requires none.")
    )
    password: SecretStr = Field(
        default=SecretStr(""),
        title=_("Password"),
        description=_("An app password if the server offers one. Read permission is enough."),
    )
