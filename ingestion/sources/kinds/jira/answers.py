"""Objects that Jira's REST interface returns."""

from datetime import datetime
from typing import Any

from pydantic import Field, RootModel, model_validator

from ingestion.sources.atlassian import Entry


class Answer(Entry):
    """Object whose empty fields may be null or left out."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, values: Any) -> Any:
        """The level of an issue stays null if it has none: an answer without the field says nothing."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None or name == "security"}


class Named(Answer):
    """A type, a status or a security level."""

    id: str = ""
    name: str = ""


class Person(Answer):
    """A user: with an account id in the cloud, and a key in a data center, where names can change."""

    account_id: str = Field(default="", alias="accountId")
    key: str = ""
    username: str = Field(default="", alias="name")
    name: str = Field(default="", alias="displayName")
    email: str | None = Field(default=None, alias="emailAddress")
    active: bool = True

    @property
    def id(self) -> str:
        found = self.account_id or self.key
        return f"user:{found}" if found else ""


class Group(Answer):
    """A group. Groups of a data center have no id but their name, which can't be changed."""

    id: str = Field(default="", alias="groupId")
    name: str = ""


class Project(Answer):
    """A project. Those that are `simplified` are managed by their team, without a permission scheme."""

    id: str
    key: str
    name: str = ""
    lead: Person | None = None
    simplified: bool = False


class Attachment(Answer):
    """A file, whose content never changes."""

    id: str
    filename: str
    size: int | None = None
    created: datetime | None = None


class Comment(Answer):
    """A comment. `visibility`: the role or group that may see it. `public` is false for internal comments on
    requests of a service desk."""

    id: str
    author: Person | None = None
    created: datetime | None = None
    visibility: dict[str, Any] | None = None
    public: bool = Field(default=True, alias="jsdPublic")
    rendered: str | None = Field(default=None, alias="renderedBody")


class Comments(Answer):
    """The comments on an issue, or the first of them."""

    comments: list[Comment]
    total: int


class Fields(Answer):
    """Fields of an issue."""

    project: Project
    summary: str = ""
    security: Named | None = None
    reporter: Person | None = None
    assignee: Person | None = None
    type: Named | None = Field(default=None, alias="issuetype")
    status: Named | None = None
    labels: list[str] = []
    updated: datetime | None = None
    attachments: list[Attachment] = Field(default=[], alias="attachment")
    comment: Comments | None = None


class RenderedComment(Answer):
    """A comment as HTML."""

    id: str
    body: str = ""


class RenderedComments(Answer):
    """The comments on an issue as HTML, or the first of them."""

    comments: list[RenderedComment] = []


class Rendered(Answer):
    """Fields of an issue as HTML."""

    description: str | None = None
    comment: RenderedComments = RenderedComments()


class Issue(Answer):
    """An issue. Its id stays when it moves to another project, its key doesn't."""

    id: str
    key: str
    fields: Fields
    rendered: Rendered | None = Field(default=None, alias="renderedFields")


class TokenPage(Answer):
    """A page of issues in the cloud."""

    issues: list[Issue]
    token: str | None = Field(default=None, alias="nextPageToken")
    is_last: bool | None = Field(default=None, alias="isLast")


class NumberedPage(Answer):
    """A page of issues in a data center."""

    issues: list[Issue]
    total: int


class Found(Answer):
    """Issues that were asked for by id, without those that aren't there."""

    issues: list[Issue]


class Holder(Answer):
    """Whom a permission is given to."""

    type: str
    parameter: str = ""
    value: str = ""
    user: Person | None = None
    group: Group | None = None


class Grant(Answer):
    """A permission in a permission scheme."""

    permission: str
    holder: Holder


class Scheme(Answer):
    """The permission scheme of a project."""

    permissions: list[Grant]


class LevelMember(Answer):
    """A member of a security level."""

    level: str = Field(alias="issueSecurityLevelId")
    holder: Holder


class Actor(Answer):
    """A user or group that has a role in a project."""

    type: str
    name: str = ""
    user: Person | None = Field(default=None, alias="actorUser")
    group: Group | None = Field(default=None, alias="actorGroup")


class Role(Answer):
    """A role in a project."""

    actors: list[Actor]


class ApplicationRole(Answer):
    """A product, and the groups whose members may use it. Only the cloud tells ids of groups."""

    key: str
    groups: list[str] = []
    details: list[Group] = Field(default=[], alias="groupDetails")


class ApplicationRoles(RootModel[list[ApplicationRole]]):
    """All products."""


class Projects(RootModel[list[Project]]):
    """All projects of a data center."""


class Values(Answer):
    """A page of a list."""

    values: list[Any]
    is_last: bool | None = Field(default=None, alias="isLast")
    total: int | None = None
