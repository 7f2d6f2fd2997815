"""Options of a MediaWiki source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class MediawikiOptions(SourceOptions):
    """`url` is the folder of the wiki's api.php. `namespaces` are names or numbers, separated by commas; ""
    are those that the wiki counts as content."""

    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the wiki’s API"),
        description=_(
            "Such as https://wiki.example.org/w/api.php. The wiki’s page Special:Version shows it."
        ),
    )
    username: str = Field(
        default="",
        max_length=200,
        title=_("User name"),
        description=_(
            "Of a bot password, such as Cairn@reader. Empty if the wiki can be read without signing in."
        ),
    )
    password: SecretStr = Field(
        default=SecretStr(""),
        title=_("Bot password"),
        description=_("From the wiki’s page Special:BotPasswords. The grant “Basic rights” is enough."),
    )
    namespaces: str = Field(
        default="",
        max_length=1000,
        title=_("Namespaces"),
        description=_(
            "Names or numbers, separated by commas, such as 0, Help. 0 is the one for articles. "
            "Empty for those that the wiki counts as content."
        ),
        json_schema_extra={"step": "selection"},
    )
    files: bool = Field(
        default=True,
        title=_("Files"),
        description=_("Also take uploaded files."),
        json_schema_extra={"step": "selection"},
    )

    @field_validator("url")
    @classmethod
    def _trim_url(cls, url: str) -> str:
        return url.removesuffix("api.php/")

    @property
    def namespace_names(self) -> tuple[str, ...]:
        return tuple(filter(None, (name.strip() for name in self.namespaces.split(","))))
