"""Objects that GitHub's REST interface returns."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from ingestion.sources.json_api import JsonObject

PERSON, ORGANIZATION = "User", "Organization"
PUBLIC, INTERNAL, PRIVATE = "public", "internal", "private"
VISIBILITIES: Final = frozenset((PUBLIC, INTERNAL, PRIVATE))


def _find_name(label: Any) -> Any:
    return label.get("name") or "" if isinstance(label, dict) else label


def _find_number(url: Any) -> Any:
    return url.rpartition("/")[2] if isinstance(url, str) else url


Label = Annotated[str, BeforeValidator(_find_name)]
"""The name of a label, or an object that has it."""
IssueNumber = Annotated[int, BeforeValidator(_find_number)]
"""The number at the end of an issue's address."""


class Account(JsonObject):
    """A user, an organization or a bot. `email` is the address that users show on their profiles."""

    id: int
    login: str = ""
    name: str = ""
    email: str = ""
    type: str = ""

    @property
    def subject(self) -> str:
        return f"user:{self.id}"

    @property
    def label(self) -> str:
        return self.name or self.login or self.subject

    @property
    def is_person(self) -> bool:
        return self.type == PERSON


class Permissions(JsonObject):
    """What a collaborator may do, by the role that theirs is based on. `pull` means reading."""

    pull: bool = False


class Collaborator(Account):
    """Somebody who has a role in a repository, directly, by a team, or in the organization."""

    permissions: Permissions = Permissions()


class Repository(JsonObject):
    """A repository. `path` has the names of its owner and itself. GitHub disables those that it may not
    show, for example for legal reasons."""

    id: int
    path: str = Field(alias="full_name")
    owner: Account
    private: bool = True
    visibility: str = ""
    disabled: bool = False
    has_issues: bool = True


class PullRequest(JsonObject):
    """What an issue has if it is a pull request."""

    merged_at: datetime | None = None


class Issue(JsonObject):
    """An issue or a pull request, which share their numbers in a repository."""

    number: int
    title: str = ""
    body: str = ""
    state: str = ""
    draft: bool = False
    user: Account | None = None
    assignees: list[Account] = []
    labels: list[Label] = []
    comments: int
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    pull_request: PullRequest | None = None

    @property
    def status(self) -> str:
        if self.pull_request and self.pull_request.merged_at:
            return "merged"
        return "draft" if self.draft and self.state == "open" else self.state


class Comment(JsonObject):
    """A comment on an issue or in the conversation of a pull request. Moderators minimize unwanted ones."""

    id: int
    body: str = ""
    user: Account | None = None
    created_at: datetime
    updated_at: datetime
    issue: IssueNumber = Field(alias="issue_url")
    minimized: Any = None
