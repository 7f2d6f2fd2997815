"""Options of a Jira source."""

from typing import Literal

from django.utils.translation import gettext_noop as _
from pydantic import Field

from ingestion.sources.atlassian import AtlassianOptions, split_keys
from ingestion.sources.web_server import ServerUrl


class JiraOptions(AtlassianOptions):
    """`projects` are keys, separated by commas; "" are all."""

    edition: Literal["cloud", "data_center"] = Field(
        default="cloud",
        title=_("Edition"),
        description=_("Jira Data Center must be version 8.14 or later."),
        json_schema_extra={"labels": {"cloud": _("Cloud"), "data_center": _("Data Center")}},
    )
    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the Jira"),
        description=_("Such as https://example.atlassian.net/ or https://jira.example.org/."),
    )
    projects: str = Field(
        default="",
        max_length=1000,
        title=_("Projects"),
        description=_(
            "Keys of projects, separated by commas. Empty for all projects that the account can see."
        ),
        json_schema_extra={"step": "selection"},
    )
    comments: bool = Field(
        default=True,
        title=_("Comments"),
        description=_("Also take comments on issues, except those that only a role or group may see."),
        json_schema_extra={"step": "selection"},
    )
    files: bool = Field(
        default=True,
        title=_("Files"),
        description=_("Also take files attached to issues."),
        json_schema_extra={"step": "selection"},
    )

    @property
    def project_keys(self) -> frozenset[str]:
        return split_keys(self.projects)
