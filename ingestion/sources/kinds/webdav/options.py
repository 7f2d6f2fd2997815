"""Options of a WebDAV source."""

from urllib.parse import urlsplit

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions


class WebdavOptions(SourceOptions):
    """`url` ends with a slash and has no credentials in it."""

    url: str = Field(
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

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("Enter an address that starts with https:// or http://.")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("Enter the address without user name, “?” and “#”.")
        _ = parts.port  # raises ValueError for an impossible one
        return url if url.endswith("/") else f"{url}/"
