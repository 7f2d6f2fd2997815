"""Options of a GitHub source."""

from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl

_HOSTED: Final = "github.com"
_DATA_RESIDENCY: Final = ".ghe.com"


class GitHubOptions(SourceOptions):
    """`repositories` are names of organizations and paths of repositories, separated by commas; "" are all
    that the token can see."""

    url: ServerUrl = Field(
        default="https://github.com/",
        max_length=500,
        title=_("Address of GitHub"),
        description=_("For example https://github.com/ or https://github.example.org/."),
    )
    token: SecretStr = Field(
        title=_("Access token"),
        description=_("A personal access token that may read issues, pull requests and metadata."),
    )
    repositories: str = Field(
        default="",
        max_length=5000,
        title=_("Repositories"),
        description=_(
            "Organizations such as acme, or repositories such as acme/shop, separated by commas. Empty for "
            "all repositories of the account of the token."
        ),
        json_schema_extra={"step": "selection"},
    )
    pull_requests: bool = Field(
        default=True,
        title=_("Pull requests"),
        description=_("Also take the descriptions of pull requests."),
        json_schema_extra={"step": "selection"},
    )
    comments: bool = Field(
        default=True,
        title=_("Comments"),
        description=_("Also take comments on issues and pull requests."),
        json_schema_extra={"step": "selection"},
    )

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of organizations and paths of repositories."""
        names = (name.strip().strip("/") for name in self.repositories.split(","))
        return tuple(dict.fromkeys(filter(None, names)))

    @property
    def is_hosted(self) -> bool:
        """Whether this is github.com, where anyone can see public repositories."""
        return urlsplit(self.url).hostname == _HOSTED

    @property
    def api_url(self) -> str:
        """Address of the REST interface: a host of its own in GitHub's cloud, a path on other servers."""
        parts = urlsplit(self.url)
        if self.is_hosted or (parts.hostname or "").endswith(_DATA_RESIDENCY):
            return parts._replace(netloc=f"api.{parts.netloc}").geturl()
        return f"{self.url}api/v3/"

    @field_validator("url")
    @classmethod
    def _require_website(cls, url: str) -> str:
        """Refuse addresses of the interface, since addresses of documents start with the website's."""
        name = urlsplit(url).hostname or ""
        is_interface = name.startswith("api.") and name.endswith((f".{_HOSTED}", _DATA_RESIDENCY))
        if is_interface or name == f"www.{_HOSTED}" or "/api/" in url:
            raise ValueError(_("Enter the address of the website, such as https://github.com/."))
        return url

    @field_validator("repositories")
    @classmethod
    def _require_names(cls, repositories: str) -> str:
        for name in repositories.split(","):
            parts = name.strip().strip("/").split("/")
            if len(parts) > 2 or any(part in {".", ".."} or not part.isprintable() for part in parts):
                raise ValueError(_("Enter organizations such as acme, or repositories such as acme/shop."))
        return repositories
