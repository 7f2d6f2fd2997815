"""Objects that Jira's REST interface returns."""

from datetime import datetime
from typing import Any

from pydantic import Field, RootModel

from ingestion.sources.atlassian import Entry
from ingestion.sources.json_api import JsonObject


class JiraObject(Entry, JsonObject):
    """Object whose empty fields may be null or left out."""


class Named(JiraObject):
    """A type, a status or a security level."""

    id: str = ""
    name: str = ""


class Person(JiraObject):
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


class Group(JiraObject):
    """A group. Groups of a data center have no id but their name, which can't be changed."""

    id: str = Field(default="", alias="groupId")
    name: str = ""


class Project(JiraObject):
    """A project. Those that are `simplified` are managed by their team, without a permission scheme."""

    id: str
    key: str
    name: str = ""
    lead: Person | None = None
    simplified: bool = False


class Attachment(JiraObject):
    """A file, whose content never changes."""

    id: str
    filename: str
    size: int | None = None
    created: datetime | None = None


class Comment(JiraObject):
    """A comment. `visibility`: the role or group that may see it. `public` is false for internal comments on
    requests of a service desk."""

    id: str
    author: Person | None = None
    created: datetime | None = None
    visibility: dict[str, Any] | None = None
    public: bool = Field(default=True, alias="jsdPublic")
    rendered: str | None = Field(default=None, alias="renderedBody")


class Comments(JiraObject):
    """The comments on an issue, or the first of them."""

    comments: list[Comment]
    total: int


class Fields(JiraObject):
    """Fields of an issue. `security` is null if it has no level: an answer without the field says nothing."""

    nullable = frozenset(("security",))
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


class RenderedComment(JiraObject):
    """A comment as HTML."""

    id: str
    body: str = ""


class RenderedComments(JiraObject):
    """The comments on an issue as HTML, or the first of them."""

    comments: list[RenderedComment] = []


class Rendered(JiraObject):
    """Fields of an issue as HTML."""

    description: str | None = None
    comment: RenderedComments = RenderedComments()


class Issue(JiraObject):
    """An issue. Its id stays when it moves to another project, its key doesn't."""

    id: str
    key: str
    fields: Fields
    rendered: Rendered | None = Field(default=None, alias="renderedFields")


class TokenPage(JiraObject):
    """A page of issues in the cloud."""

    issues: list[Issue]
    token: str | None = Field(default=None, alias="nextPageToken")
    is_last: bool | None = Field(default=None, alias="isLast")


class NumberedPage(JiraObject):
    """A page of issues in a data center."""

    issues: list[Issue]
    total: int


class Found(JiraObject):
    """Issues that were asked for by id, without those that aren't there."""

    issues: list[Issue]


class Holder(JiraObject):
    """Whom a permission is given to."""

    type: str
    parameter: str = ""
    value: str = ""
    user: Person | None = None
    group: Group | None = None


class Grant(JiraObject):
    """A permission in a permission scheme."""

    permission: str
    holder: Holder


class Scheme(JiraObject):
    """The permission scheme of a project."""

    permissions: list[Grant]


class LevelMember(JiraObject):
    """A member of a security level."""

    level: str = Field(alias="issueSecurityLevelId")
    holder: Holder


class Actor(JiraObject):
    """A user or group that has a role in a project."""

    type: str
    name: str = ""
    user: Person | None = Field(default=None, alias="actorUser")
    group: Group | None = Field(default=None, alias="actorGroup")


class Role(JiraObject):
    """A role in a project."""

    actors: list[Actor]


class ApplicationRole(JiraObject):
    """A product, and the groups whose members may use it. Only the cloud tells ids of groups."""

    key: str
    groups: list[str] = []
    details: list[Group] = Field(default=[], alias="groupDetails")


class ApplicationRoles(RootModel[list[ApplicationRole]]):
    """All products."""


class Projects(RootModel[list[Project]]):
    """All projects of a data center."""


class Values(JiraObject):
    """A page of a list."""

    values: list[Any]
    is_last: bool | None = Field(default=None, alias="isLast")
    total: int | None = None
