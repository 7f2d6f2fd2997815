"""Options of a Confluence source."""

from typing import Literal

from django.utils.translation import gettext_noop as _
from pydantic import Field

from ingestion.sources.atlassian import AtlassianOptions, split_keys
from ingestion.sources.web_server import ServerUrl


class ConfluenceOptions(AtlassianOptions):
    """`spaces` are keys, separated by commas; "" are all."""

    edition: Literal["cloud", "data_center"] = Field(
        default="cloud",
        title=_("Edition"),
        description=_("Confluence Data Center must be version 9.1 or later."),
        json_schema_extra={"labels": {"cloud": _("Cloud"), "data_center": _("Data Center")}},
    )
    url: ServerUrl = Field(
        max_length=500,
        title=_("Address of the Confluence"),
        description=_("Such as https://example.atlassian.net/wiki/ or https://confluence.example.org/."),
    )
    spaces: str = Field(
        default="",
        max_length=1000,
        title=_("Spaces"),
        description=_("Keys of spaces, separated by commas. Empty for all spaces that the account can see."),
        json_schema_extra={"step": "selection"},
    )
    files: bool = Field(
        default=True,
        title=_("Files"),
        description=_(
            "Also take files attached to pages. Each complete sync then asks for those of every page."
        ),
        json_schema_extra={"step": "selection"},
    )

    @property
    def space_keys(self) -> frozenset[str]:
        return split_keys(self.spaces)
