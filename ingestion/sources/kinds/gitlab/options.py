"""Options of a GitLab source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl


class GitLabOptions(SourceOptions):
    """`projects` are paths, separated by commas; "" are all that the account is a member of."""

    url: ServerUrl = Field(
        default="https://gitlab.com/",
        max_length=500,
        title=_("Address of GitLab"),
        description=_("For example https://gitlab.com/ or https://gitlab.example.org/."),
    )
    token: SecretStr = Field(
        title=_("Access token"),
        description=_("A personal, group or project access token with the scope “read_api”."),
    )
    projects: str = Field(
        default="",
        max_length=5000,
        title=_("Projects"),
        description=_(
            "Paths such as group/project, separated by commas. Empty for all projects that the account of "
            "the token is a member of."
        ),
        json_schema_extra={"step": "selection"},
    )
    comments: bool = Field(
        default=True,
        title=_("Comments"),
        description=_("Also take comments on issues, except internal notes."),
        json_schema_extra={"step": "selection"},
    )
    wiki: bool = Field(
        default=True,
        title=_("Wiki pages"),
        description=_("Also take the pages of the projects’ wikis."),
        json_schema_extra={"step": "selection"},
    )

    @property
    def project_paths(self) -> tuple[str, ...]:
        paths = (path.strip().strip("/") for path in self.projects.split(","))
        return tuple(dict.fromkeys(filter(None, paths)))

    @field_validator("projects")
    @classmethod
    def _require_paths(cls, projects: str) -> str:
        """Refuse numbers: documents are found by the path of their project if it can't be listed."""
        if any("/" not in path.strip().strip("/") for path in projects.split(",") if path.strip()):
            raise ValueError(_("Enter paths of projects, such as group/project."))
        return projects
