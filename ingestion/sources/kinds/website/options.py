"""Options of a website."""

from enum import StrEnum
from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator, model_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class Discovery(StrEnum):
    """How pages are found."""

    BOTH = "both"
    SITEMAP = "sitemap"
    LINKS = "links"


class WebsiteOptions(SourceOptions):
    """`url` is the start page; only addresses that begin with it are taken."""

    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the website"),
        description=_(
            "Such as https://intranet.example.org/handbook/. Only pages below this address are taken."
        ),
    )
    header: str = Field(
        default="",
        max_length=100,
        pattern=r"^[A-Za-z0-9-]*$",
        title=_("Header for signing in"),
        description=_("Such as Authorization, if the website requires signing in."),
    )
    header_value: SecretStr = Field(
        default=SecretStr(""),
        title=_("Value of the header"),
        description=_("Such as “Bearer” and a token. It is sent to this server only."),
    )
    discovery: Discovery = Field(
        default=Discovery.BOTH,
        title=_("Find pages"),
        description=_("The sitemap is the one that robots.txt names, or /sitemap.xml."),
        json_schema_extra={
            "step": "selection",
            "labels": {
                "both": _("By sitemap and links"),
                "sitemap": _("By sitemap only"),
                "links": _("By links only"),
            },
        },
    )
    depth: int = Field(
        default=5,
        ge=0,
        le=50,
        title=_("Depth"),
        description=_("Number of links between the start page, or a page of the sitemap, and a page."),
        json_schema_extra={"step": "selection"},
    )
    max_pages: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        title=_("Maximum number of pages"),
        description=_("Cairn requests no more pages than this in a sync."),
        json_schema_extra={"step": "selection"},
    )
    queries: bool = Field(
        default=False,
        title=_("Pages with “?”"),
        description=_(
            "Also take addresses with a question mark. Calendars and searches have endless numbers."
        ),
        json_schema_extra={"step": "selection"},
    )
    files: bool = Field(
        default=True,
        title=_("Files"),
        description=_("Also take files that pages link to, such as PDFs."),
        json_schema_extra={"step": "selection"},
    )
    pause: float = Field(
        default=0.5,
        ge=0,
        le=30,
        title=_("Seconds between requests"),
        description=_("If robots.txt asks for a longer pause, up to 30 seconds, that one is used."),
        json_schema_extra={"step": "selection"},
    )

    @field_validator("header_value")
    @classmethod
    def _check_value(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not (text.isascii() and text.isprintable()):
            raise ValueError(_("Enter the value in one line of ASCII characters."))
        return value

    @model_validator(mode="after")
    def _check_header(self) -> Self:
        if bool(self.header) != bool(self.header_value.get_secret_value()):
            raise ValueError(_("Enter both the header and its value, or neither."))
        return self

    @property
    def headers(self) -> dict[str, str]:
        return {self.header: self.header_value.get_secret_value()} if self.header else {}
