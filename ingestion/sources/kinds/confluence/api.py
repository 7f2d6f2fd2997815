"""REST interfaces of Confluence: that of the cloud, and that of a data center."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import Field, RootModel

from cairn.messages import CodedMessage
from ingestion.sources.atlassian import Entry, UnknownSubject
from ingestion.sources.json_api import JsonApi
from ingestion.sources.protocol import SourceRefused

PAGE_LENGTH: Final = 100
MAX_ANCESTORS: Final = 250


class Version(Entry):
    """`when` in version 1 of the interface, `createdAt` in version 2."""

    number: int = 0
    when: datetime | None = None
    created: datetime | None = Field(default=None, alias="createdAt")


class Space(Entry):
    """A space. Permissions are found by `id` in the cloud, and by `key` in a data center."""

    id: str
    key: str
    name: str = ""


class Body(Entry):
    """Text of a page in the format in which it is stored."""

    value: str = ""


class Bodies(Entry):
    """Texts of a page by format."""

    storage: Body | None = None


class Links(Entry):
    """Links of an object or of a page of a list."""

    next: str = ""
    download: str = ""


class Content(Entry):
    """A page, an attachment, or another thing that a page can be under."""

    id: str
    type: str = "page"
    title: str = ""
    status: str = "current"
    version: Version = Version()
    space: Space | None = None
    space_id: str = Field(default="", alias="spaceId")
    container: "Content | None" = None
    ancestors: list["Content"] = []
    extensions: dict[str, Any] = {}
    file_size: int | None = Field(default=None, alias="fileSize")
    body: Bodies = Bodies()
    links: Links = Field(default=Links(), alias="_links")

    @property
    def size(self) -> int | None:
        found = self.extensions.get("fileSize", self.file_size)
        return found if isinstance(found, int) else None

    @property
    def modified(self) -> datetime | None:
        return self.version.when or self.version.created


class Contents(Entry):
    """A page of a list."""

    results: list[Content]
    links: Links = Field(default=Links(), alias="_links")


class Spaces(Entry):
    """A page of the list of spaces."""

    results: list[Space]
    links: Links = Field(default=Links(), alias="_links")


class Person(Entry):
    """A user: with an account id in the cloud, and a key in a data center."""

    type: str = ""
    account_id: str = Field(default="", alias="accountId")
    user_key: str = Field(default="", alias="userKey")
    username: str = ""
    name: str = Field(default="", alias="displayName")
    email: str | None = None

    @property
    def id(self) -> str:
        found = self.account_id or self.user_key
        return f"user:{found}" if found else ""


class People(Entry):
    """A page of a list of users."""

    results: list[Person]
    limit: int = PAGE_LENGTH
    links: Links = Field(default=Links(), alias="_links")


class Group(Entry):
    """A group. Groups of a data center have no id but their name, which can't be changed."""

    id: str = ""
    name: str = ""


class Groups(Entry):
    """A page of a list of groups."""

    results: list[Group]
    limit: int = PAGE_LENGTH
    links: Links = Field(default=Links(), alias="_links")


class Restricted(Entry):
    """Users and groups that a page is restricted to."""

    user: People
    group: Groups


class Restriction(Entry):
    """Restriction of reading a page."""

    restrictions: Restricted


class Principal(Entry):
    """A user or group that has a permission in a space."""

    type: str
    id: str = ""
    name: str = ""
    user_key: str = Field(default="", alias="userKey")


class Operation(Entry):
    """Operation that a permission allows. The names differ between the editions."""

    key: str = ""
    operation_key: str = Field(default="", alias="operationKey")
    target: str = Field(default="", alias="targetType")


class Permission(Entry):
    """A permission in a space."""

    operation: Operation
    principal: Principal | None = None
    subject: Principal | None = None

    @property
    def reads(self) -> bool:
        key = self.operation.key or self.operation.operation_key
        return key == "read" and self.operation.target == "space"


class Permissions(Entry):
    """A page of a list of permissions."""

    results: list[Permission]
    links: Links = Field(default=Links(), alias="_links")


class PermissionList(RootModel[list[Permission]]):
    """Permissions in a space of a data center, complete."""


class ConfluenceApi(ABC):
    """The common part of both editions."""

    def __init__(self, api: JsonApi) -> None:
        self.api = api

    def require_account(self) -> None:
        """Raise SourceRefused if the request is anonymous: it would only see public spaces."""
        if not self.api.read("rest/api/user/current", Person).id:
            raise SourceRefused(CodedMessage("source_sign_in_refused", server=self.api.server.name))

    def search(self, query: str) -> Iterator[Content]:
        """Yield pages and attachments that a query in Confluence's language finds."""
        expand = "version,space,container"
        yield from self._list("rest/api/content/search", cql=query, expand=expand, limit=str(PAGE_LENGTH))

    def list_groups(self) -> Iterator[Group]:
        for page in self.api.list_links(
            "rest/api/group", Groups, lambda page: page.links.next, limit=str(PAGE_LENGTH)
        ):
            yield from page.results

    def read_restriction(self, content: str) -> tuple[str, ...]:
        """Return the subjects that may read; none if everybody may. Raises UnknownSubject."""
        path, found, start = f"rest/api/content/{content}/restriction/byOperation/read", list[str](), 0
        while True:
            params = {"start": str(start), "limit": str(PAGE_LENGTH)}
            expand = "restrictions.user,restrictions.group"
            page = self.api.read(path, Restriction, expand=expand, **params).restrictions
            found += [_require_id(one.id, one.name) for one in page.user.results]
            found += [_require_id(self.group_id(one), one.name) for one in page.group.results]
            lengths = [(len(part.results), max(part.limit, 1)) for part in (page.user, page.group)]
            if all(length < limit for length, limit in lengths):
                return tuple(dict.fromkeys(found))
            start += min(limit for _length, limit in lengths)

    def _list(self, path: str, **params: str) -> Iterator[Content]:
        for page in self.api.list_links(path, Contents, lambda page: page.links.next, **params):
            yield from page.results

    def _list_members(self, path: str) -> Iterator[Person]:
        for page in self.api.list_links(path, People, lambda page: page.links.next, limit=str(PAGE_LENGTH)):
            yield from page.results

    @abstractmethod
    def group_id(self, group: Group) -> str: ...

    @abstractmethod
    def list_members(self, group: Group) -> Iterator[Person]: ...

    @abstractmethod
    def list_spaces(self) -> Iterator[Space]: ...

    @abstractmethod
    def list_pages(self, space: Space) -> Iterator[Content]: ...

    @abstractmethod
    def list_attachments(self, page: str) -> Iterator[Content]: ...

    @abstractmethod
    def read_page(self, page: str) -> Content: ...

    @abstractmethod
    def list_ancestors(self, page: Content) -> list[Content]:
        """Return the ancestors of a page. Raises UnknownSubject if they may be incomplete."""

    @abstractmethod
    def list_readers(self, space: Space) -> tuple[str, ...]:
        """Return the subjects that may read in a space. Raises UnknownSubject."""

    @abstractmethod
    def space_of(self, page: Content) -> Space: ...


class CloudApi(ConfluenceApi):
    """Confluence Cloud: version 2 of its interface, and of version 1 what version 2 lacks."""

    def group_id(self, group: Group) -> str:
        return f"group:{group.id}" if group.id else ""

    def list_members(self, group: Group) -> Iterator[Person]:
        return self._list_members(f"rest/api/group/{group.id}/membersByGroupId")

    def list_spaces(self) -> Iterator[Space]:
        for page in self.api.list_links(
            "api/v2/spaces", Spaces, lambda page: page.links.next, status="current", limit="250"
        ):
            yield from page.results

    def list_pages(self, space: Space) -> Iterator[Content]:
        return self._list(f"api/v2/spaces/{space.id}/pages", status="current", limit="250")

    def list_attachments(self, page: str) -> Iterator[Content]:
        return self._list(f"api/v2/pages/{page}/attachments", status="current", limit="250")

    def read_page(self, page: str) -> Content:
        return self.api.read(f"api/v2/pages/{page}", Content, **{"body-format": "storage"})

    def list_ancestors(self, page: Content) -> list[Content]:
        path = f"api/v2/pages/{page.id}/ancestors"
        found = self.api.read(path, Contents, limit=str(MAX_ANCESTORS)).results
        if len(found) >= MAX_ANCESTORS:
            raise UnknownSubject(page.title)
        return found

    def list_readers(self, space: Space) -> tuple[str, ...]:
        path = f"api/v2/spaces/{space.id}/permissions"
        return tuple(
            _find_subject(permission.principal)
            for page in self.api.list_links(path, Permissions, lambda page: page.links.next, limit="250")
            for permission in page.results
            if permission.reads
        )

    def space_of(self, page: Content) -> Space:
        return self.api.read(f"api/v2/spaces/{page.space_id}", Space)


class DataCenterApi(ConfluenceApi):
    """Confluence Data Center 9.1 and later."""

    def group_id(self, group: Group) -> str:
        return f"group:{group.name}" if group.name else ""

    def list_members(self, group: Group) -> Iterator[Person]:
        return self._list_members(f"rest/api/group/{_escape(group.name)}/member")

    def list_spaces(self) -> Iterator[Space]:
        for page in self.api.list_links(
            "rest/api/space", Spaces, lambda page: page.links.next, status="current", limit=str(PAGE_LENGTH)
        ):
            yield from page.results

    def list_pages(self, space: Space) -> Iterator[Content]:
        path = f"rest/api/space/{_escape(space.key)}/content/page"
        return self._list(path, expand="version", limit=str(PAGE_LENGTH))

    def list_attachments(self, page: str) -> Iterator[Content]:
        path = f"rest/api/content/{page}/child/attachment"
        return self._list(path, expand="version", limit=str(PAGE_LENGTH))

    def read_page(self, page: str) -> Content:
        expand = "version,space,ancestors,body.storage"
        return self.api.read(f"rest/api/content/{page}", Content, expand=expand)

    def list_ancestors(self, page: Content) -> list[Content]:
        return page.ancestors

    def list_readers(self, space: Space) -> tuple[str, ...]:
        path = f"rest/api/space/{_escape(space.key)}/permissions"
        found = self.api.read(path, PermissionList).root
        subjects = (permission.subject for permission in found if permission.reads)
        return tuple(_find_subject(subject) for subject in subjects if not _is_anonymous(subject))

    def space_of(self, page: Content) -> Space:
        if page.space is None:
            raise self.api.server.invalid("space")
        return page.space


def _is_anonymous(subject: Principal | None) -> bool:
    return subject is not None and subject.type.lower() == "anonymous"


def _find_subject(subject: Principal | None) -> str:
    """Return the id of a user or group. Other subjects, such as roles, may be anyone."""
    kind = subject.type.lower() if subject else ""
    if subject and kind == "user" and (subject.id or subject.user_key):
        return f"user:{subject.id or subject.user_key}"
    if subject and kind == "group" and (subject.id or subject.name):
        return f"group:{subject.id or subject.name}"
    raise UnknownSubject(f"{kind} {subject.name or subject.id}".strip() if subject else "?")


def _require_id(identity: str, name: str) -> str:
    if not identity:
        raise UnknownSubject(name or "?")
    return identity


def _escape(name: str) -> str:
    return quote(name, safe="")
