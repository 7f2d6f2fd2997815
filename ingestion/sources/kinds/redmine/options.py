"""Options of a Redmine source."""

from typing import Literal

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class RedmineOptions(SourceOptions):
    """`projects` are identifiers, separated by commas; "" are all."""

    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the Redmine"),
        description=_("Such as https://redmine.example.org/. Its REST API must be enabled."),
    )
    api_key: SecretStr = Field(
        title=_("API key"),
        description=_("Of an administrator of the Redmine: only administrators can read roles and members."),
    )
    projects: str = Field(
        default="",
        max_length=1000,
        title=_("Projects"),
        description=_("Identifiers of projects, separated by commas. Empty for all projects."),
    )
    formatting: Literal["markdown", "textile"] = Field(
        default="markdown",
        title=_("Text formatting"),
        description=_(
            "As in the Redmine’s general settings: markdown, which it also calls CommonMark, or textile."
        ),
    )
    files: bool = Field(
        default=True,
        title=_("Files"),
        description=_("Also take files of projects, and files attached to issues and wiki pages."),
    )
    notes: bool = Field(
        default=False,
        title=_("Notes"),
        description=_(
            "Also take notes on issues, except private ones. Each sync then reads every issue by itself."
        ),
    )

    @property
    def project_names(self) -> frozenset[str]:
        return frozenset(filter(None, (name.strip() for name in self.projects.split(","))))
