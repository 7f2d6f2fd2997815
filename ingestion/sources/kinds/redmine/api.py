"""REST API of Redmine, as an administrator."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.protocol import SourceRefused, SourceUnavailable
from ingestion.sources.web_server import WebServer

PAGE_LENGTH: Final = 100
MAX_ENTRIES: Final = 2_000_000
ACTIVE, CLOSED = 1, 5


class Entry(BaseModel):
    """Object with an id."""

    id: int


class Ref(Entry):
    """Reference to an object, with its name."""

    name: str = ""


class Attachment(Entry):
    """A file."""

    filename: str
    filesize: int = 0
    created_on: datetime | None = None


class Files(BaseModel):
    """Files of a project."""

    files: list[Attachment] = []


class Project(Entry):
    """`trackers` are those that the asking user sees issues of."""

    name: str
    identifier: str
    status: int = ACTIVE
    is_public: bool = True
    enabled_modules: list[Ref] = []
    trackers: list[Ref] = []

    def has(self, module: str) -> bool:
        return any(each.name == module for each in self.enabled_modules)


class Note(Entry):
    """A note, or a change without text, on an issue."""

    user: Ref | None = None
    notes: str | None = None
    private_notes: bool = False


class Issue(Entry):
    """An issue."""

    project: Ref
    tracker: Ref
    status: Ref
    author: Ref | None = None
    assigned_to: Ref | None = None
    subject: str
    description: str | None = None
    is_private: bool = False
    updated_on: datetime
    attachments: list[Attachment] = []
    journals: list[Note] = []


class OneIssue(BaseModel):
    """The answer about one issue."""

    issue: Issue


class WikiPage(BaseModel):
    """A page of a project's wiki."""

    title: str
    version: int
    text: str | None = None
    updated_on: datetime | None = None
    attachments: list[Attachment] = []


class WikiIndex(BaseModel):
    """The pages of a project's wiki."""

    wiki_pages: list[WikiPage]


class OneWikiPage(BaseModel):
    """The answer about one page."""

    wiki_page: WikiPage


class Role(Entry):
    """A role. `permissions` don't say for which trackers they are."""

    issues_visibility: str = ""
    permissions: list[str]


class OneRole(BaseModel):
    """The answer about one role."""

    role: Role


class Roles(BaseModel):
    """The roles that members may have."""

    roles: list[Ref]


class User(Entry):
    """A user."""

    login: str = ""
    firstname: str = ""
    lastname: str = ""
    mail: str | None = None
    admin: bool = False
    status: int = ACTIVE


class OneUser(BaseModel):
    """The answer about one user."""

    user: User


class Group(Entry):
    """A group."""

    name: str
    users: list[Ref] = []


class OneGroup(BaseModel):
    """The answer about one group."""

    group: Group


class Groups(BaseModel):
    """Answer that lists the groups."""

    groups: list[Ref]


class Membership(Entry):
    """Roles of a user in a project, also those through groups and parents; or of all who aren't members."""

    user: Ref | None = None
    group_non_member: Ref | None = None
    roles: list[Ref] = Field(default=[])


class NotThere(SourceRefused):
    """The requested object doesn't exist, or its module is off."""


M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound=Entry)


class RedmineApi:
    """Client of the API. With `as_user`, the login of a user, it reads what that user sees."""

    def __init__(self, server: WebServer) -> None:
        self._server = server

    def read(self, path: str, kind: type[M], *, as_user: str = "", **params: str) -> M:
        """Read an object. Raises NotThere."""
        headers = {"X-Redmine-Switch-User": as_user} if as_user else {}
        answer = self._server.get(path, params, headers=headers)
        if answer.status in {403, 404}:
            raise NotThere(CodedMessage("redmine_admin_required"))
        if answer.status != 200:
            raise self._server.invalid(f"HTTP {answer.status}")
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._server.invalid(error.errors()[0]["msg"]) from error

    def list_all(
        self, path: str, name: str, kind: type[E], *, as_user: str = "", **params: str
    ) -> Iterator[E]:
        """Yield all objects of a list. Each page begins with the last object of the page before, so that none
        is missed when others are deleted meanwhile."""
        count, last = 0, None  # type: int, E | None
        while count < MAX_ENTRIES:
            start = max(count - 1, 0)
            page = self.read(
                path,
                _Page,
                as_user=as_user,
                limit=str(PAGE_LENGTH),
                offset=str(start),
                **params,
            )
            found = self._parse(page.list(name), kind)
            if last is not None and (not found or found[0].id != last.id):
                raise SourceUnavailable(CodedMessage("source_list_changed", server=self._server.name))
            new = found if last is None else found[1:]
            yield from new
            if start + len(found) >= page.total_count:
                return
            if not new:
                raise self._server.invalid("total_count")
            count, last = count + len(new), found[-1]
        raise SourceRefused(CodedMessage("source_answer_endless", server=self._server.name))

    def _parse(self, objects: list[Any], kind: type[M]) -> list[M]:
        try:
            return [kind.model_validate(each) for each in objects]
        except ValidationError as error:
            raise self._server.invalid(error.errors()[0]["msg"]) from error


class _Page(BaseModel, extra="allow"):
    total_count: int

    def list(self, name: str) -> list[Any]:
        found = (self.model_extra or {}).get(name)
        return found if isinstance(found, list) else []
