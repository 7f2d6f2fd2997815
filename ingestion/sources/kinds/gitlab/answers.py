"""Objects that GitLab's REST interface returns."""

from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from ingestion.sources.json_api import JsonObject

ACTIVE, BANNED = "active", "banned"
DISABLED: Final = "disabled"


def _cut_time(value: Any) -> Any:
    return value[:10] if isinstance(value, str) else value


Day = Annotated[date, BeforeValidator(_cut_time)]
"""A day, which some versions of GitLab send with a time."""


class Token(JsonObject):
    """The access token itself. What GitLab doesn't say counts against it."""

    active: bool = False
    scopes: list[str] = []
    expires_at: Day | None = None


class Person(JsonObject):
    """A user, as others see them. Only some may see `email`; `public_email` is chosen by the user."""

    id: int
    username: str = ""
    name: str = ""
    state: str = ""
    email: str = ""
    public_email: str = ""

    @property
    def subject(self) -> str:
        return f"user:{self.id}"

    @property
    def label(self) -> str:
        return self.name or self.username or self.subject

    @property
    def is_active(self) -> bool:
        """Return whether the user may sign in: not blocked, deactivated, banned or pending."""
        return self.state == ACTIVE

    @property
    def is_banned(self) -> bool:
        return self.state == BANNED

    @property
    def address(self) -> str:
        return self.email or self.public_email


class User(Person):
    """A user, as administrators see them. Others don't see `external`."""

    is_admin: bool = False
    external: bool | None = None
    bot: bool = False
    confirmed_at: datetime | None = None

    @property
    def address(self) -> str:
        """The email address, "" if the user hasn't confirmed it."""
        return self.email if self.confirmed_at else ""


class Member(Person):
    """A member of a project, directly or through groups."""

    access_level: int
    expires_at: Day | None = None
    membership_state: str = ACTIVE

    def is_member(self, today: date) -> bool:
        """Return whether the membership is in effect. It ends at the beginning of the day when it expires."""
        is_valid = self.expires_at is None or self.expires_at > today
        return self.is_active and self.membership_state == ACTIVE and is_valid


class Share(JsonObject):
    """A group that a project is shared with."""

    expires_at: Day | None = None


class Project(JsonObject):
    """A project. `classification` is the label by which an external service decides who may see it."""

    id: int
    path: str = Field(alias="path_with_namespace")
    visibility: str = ""
    issues_level: str = Field(default="", alias="issues_access_level")
    wiki_level: str = Field(default="", alias="wiki_access_level")
    classification: str = Field(default="", alias="external_authorization_classification_label")
    owner: Person | None = None
    shares: list[Share] = Field(default=[], alias="shared_with_groups")


class Issue(JsonObject):
    """An issue. Its number stays: when it moves to another project, a new one is made there."""

    iid: int
    title: str = ""
    description: str = ""
    type: str = Field(default="issue", alias="issue_type")
    state: str = ""
    labels: list[str] = []
    author: Person | None = None
    assignees: list[Person] = []
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    due_date: Day | None = None
    confidential: bool = True
    notes_count: int = Field(alias="user_notes_count")

    @property
    def is_hidden(self) -> bool:
        """Return whether GitLab hides the issue from everyone but administrators."""
        return self.author is not None and self.author.is_banned


class Note(JsonObject):
    """A comment on an issue, or what GitLab itself notes about a change of it."""

    body: str = ""
    author: Person | None = None
    created_at: datetime
    system: bool = True
    internal: bool | None = None
    confidential: bool | None = None

    @property
    def is_for_all(self) -> bool:
        """Return whether everyone who sees the issue sees the comment. Older versions of GitLab call internal
        ones confidential; if neither is there, nothing is known."""
        marks = (self.internal, self.confidential)
        is_hidden = any(marks) or marks == (None, None) or (self.author is not None and self.author.is_banned)
        return not self.system and not is_hidden


class WikiPage(JsonObject):
    """A page of a project's wiki. `slug` is its path there, which changes with its title."""

    slug: str = Field(min_length=1)
    title: str = ""
    format: str = "markdown"
    content: str = ""
