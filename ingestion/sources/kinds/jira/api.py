"""REST interfaces of Jira: version 3 in the cloud, and version 2 in a data center."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.atlassian import UnknownSubject
from ingestion.sources.json_api import MAX_PAGES, NOT_THERE, JsonApi, RequestRefused
from ingestion.sources.kinds.jira.answers import (
    Actor,
    ApplicationRole,
    ApplicationRoles,
    Comment,
    Comments,
    Found,
    Group,
    Holder,
    Issue,
    LevelMember,
    NumberedPage,
    Person,
    Project,
    Projects,
    Role,
    Scheme,
    TokenPage,
    Values,
)
from ingestion.sources.protocol import SourceRefused, SourceUnavailable

PAGE_LENGTH: Final = 100
BROWSE: Final = "BROWSE_PROJECTS"
CONTENT_FIELDS: Final = "project,summary,description,reporter,assignee,issuetype,status,labels,updated"
ACCESS_FIELDS: Final = ("project", "security", "reporter", "assignee", "attachment")
_GROUP_ACTOR, _USER_ACTOR = "atlassian-group-role-actor", "atlassian-user-role-actor"

M = TypeVar("M", bound=BaseModel)


class JiraApi(ABC):
    """The common part of both editions. `root` is the path of the interface."""

    root: str

    def __init__(self, api: JsonApi) -> None:
        self.api = api

    def require_account(self) -> None:
        """Raise SourceRefused if the request is anonymous: it would only see public projects."""
        if not self.api.read(f"{self.root}/myself", Person).id:
            raise SourceRefused(CodedMessage("source_sign_in_refused", server=self.api.server.name))

    def read_issue(self, issue: str, fields: str) -> Issue:
        """Return an issue with some of its fields, and with those that have a format as HTML."""
        path = f"{self.root}/issue/{quote(issue, safe='')}"
        return self.api.read(path, Issue, fields=fields, expand="renderedFields")

    def list_comments(self, issue: str) -> list[Comment]:
        """Return all comments on an issue, oldest first, with their texts as HTML."""
        found, path = dict[str, Comment](), f"{self.root}/issue/{issue}/comment"
        for _page in range(MAX_PAGES):
            params = {"startAt": str(len(found)), "maxResults": str(PAGE_LENGTH), "orderBy": "created"}
            page = self.api.read(path, Comments, expand="renderedBody", **params)
            new = {comment.id: comment for comment in page.comments if comment.id not in found}
            found |= new
            if len(found) >= page.total:
                return list(found.values())
            if not new:  # some were deleted meanwhile, or the account may not see all
                break
        raise SourceUnavailable(CodedMessage("source_list_changed", server=self.api.server.name))

    def list_grants(self, project: Project) -> list[Holder]:
        """Return who may see a project, by its permission scheme."""
        path = f"{self.root}/project/{project.id}/permissionscheme"
        found = self.api.read(path, Scheme, expand="permissions,user,group,projectRole").permissions
        return [grant.holder for grant in found if grant.permission == BROWSE]

    def has_levels(self, project: Project) -> bool:
        """Return whether issues of a project may have security levels."""
        try:
            self.api.read_answer(f"{self.root}/project/{project.id}/issuesecuritylevelscheme")
        except RequestRefused as error:
            if error.status_code in NOT_THERE:
                return False
            raise
        return True

    def list_actors(self, project: Project, role: str) -> tuple[str, ...]:
        """Return the users and groups that have a role in a project. Raises UnknownSubject."""
        path = f"{self.root}/project/{project.id}/role/{quote(role, safe='')}"
        found = (self._find_actor(actor) for actor in self.api.read(path, Role).actors)
        return tuple(subject for subject in found if subject)

    def list_products(self) -> list[ApplicationRole]:
        """Return the products, with the groups whose members may sign in to use them."""
        return self.api.read(f"{self.root}/applicationrole", ApplicationRoles).root

    def list_members(self, group: str) -> Iterator[Person]:
        """Yield the active members of a group, also those through groups in it."""
        params = {self.group_parameter: group.removeprefix("group:"), "includeInactiveUsers": "false"}
        return self.list_values(f"{self.root}/group/member", Person, **params)

    def list_values(self, path: str, kind: type[M], **params: str) -> Iterator[M]:
        """Yield the objects of a list. Raises SourceUnavailable if it ends early."""
        count = 0
        for _page in range(MAX_PAGES):
            page = self.api.read(path, Values, startAt=str(count), maxResults=str(PAGE_LENGTH), **params)
            try:
                yield from TypeAdapter(list[kind]).validate_python(page.values)  # type: ignore[valid-type]
            except ValidationError as error:
                raise self.api.server.invalid(error.errors()[0]["msg"]) from error
            count += len(page.values)
            if page.is_last or (page.is_last is None and count >= (page.total or 0)):
                return
            if not page.values:
                raise self.api.server.invalid("isLast")
        raise SourceRefused(CodedMessage("source_answer_endless", server=self.api.server.name))

    def _find_actor(self, actor: Actor) -> str:
        """Return a user or group that has a role, "" if it no longer exists. Raises UnknownSubject."""
        if actor.type == _GROUP_ACTOR:
            group = actor.group or Group(name=actor.name)
            return require_id(self.group_id(group), actor.name)
        if actor.type == _USER_ACTOR:
            return self.find_user(actor)
        raise UnknownSubject(f"{actor.type} {actor.name}".strip())

    group_parameter: str

    @abstractmethod
    def group_id(self, group: Group) -> str: ...

    @abstractmethod
    def find_user(self, actor: Actor) -> str:
        """Return a user who has a role, "" if there is no such user any more. Raises UnknownSubject."""

    @abstractmethod
    def list_projects(self) -> Iterator[Project]: ...

    @abstractmethod
    def search(self, query: str, fields: str) -> Iterator[Issue]:
        """Yield the issues that a query in Jira's language finds. The order must be one that lasts."""

    @abstractmethod
    def find_issues(self, issues: Collection[str]) -> list[Issue]:
        """Return which of these issues exist, at most a hundred, with the fields that access depends on."""

    @abstractmethod
    def list_level_members(self) -> dict[str, list[Holder]] | None:
        """Return the members of all security levels by the level's id, None if Jira doesn't tell them."""

    @abstractmethod
    def file_path(self, attachment: str, name: str) -> str:
        """Return the path from which a file is downloaded."""


class CloudApi(JiraApi):
    """Jira Cloud."""

    root = "rest/api/3"
    group_parameter = "groupId"

    def group_id(self, group: Group) -> str:
        return f"group:{group.id}" if group.id else ""

    def find_user(self, actor: Actor) -> str:
        return require_id(actor.user.id if actor.user else "", actor.name)

    def list_projects(self) -> Iterator[Project]:
        return self.list_values(f"{self.root}/project/search", Project, expand="lead")

    def search(self, query: str, fields: str) -> Iterator[Issue]:
        params = {"jql": query, "fields": fields, "expand": "renderedFields", "maxResults": str(PAGE_LENGTH)}
        path = f"{self.root}/search/jql"
        for page in self.api.list_tokens(path, TokenPage, self._find_token, "nextPageToken", **params):
            yield from page.issues

    def _find_token(self, page: TokenPage) -> str:
        if not page.token and page.is_last is False:
            raise self.api.server.invalid("nextPageToken")
        return page.token or ""

    def find_issues(self, issues: Collection[str]) -> list[Issue]:
        body = {"issueIdsOrKeys": list(issues), "fields": list(ACCESS_FIELDS)}
        return self.api.read_posted(f"{self.root}/issue/bulkfetch", body, Found).issues

    def list_level_members(self) -> dict[str, list[Holder]] | None:
        found: dict[str, list[Holder]] = {}
        path = f"{self.root}/issuesecurityschemes/level/member"
        for member in self.list_values(path, LevelMember, expand="user,group,projectRole"):
            found.setdefault(member.level, []).append(member.holder)
        return found

    def file_path(self, attachment: str, name: str) -> str:  # noqa: ARG002
        return f"{self.root}/attachment/content/{attachment}"


class DataCenterApi(JiraApi):
    """Jira Data Center 8.14 and later."""

    root = "rest/api/2"
    group_parameter = "groupname"

    def __init__(self, api: JsonApi) -> None:
        super().__init__(api)
        self._users: dict[str, str] = {}

    def group_id(self, group: Group) -> str:
        return f"group:{group.name}" if group.name else ""

    def find_user(self, actor: Actor) -> str:
        """Ask for the user's key: roles name users by their names, which can change."""
        if actor.name not in self._users:
            try:
                user = self.api.read(f"{self.root}/user", Person, username=actor.name)
                self._users[actor.name] = require_id(user.id, actor.name)
            except RequestRefused as error:
                if error.status_code not in NOT_THERE:
                    raise
                self._users[actor.name] = ""
        return self._users[actor.name]

    def list_projects(self) -> Iterator[Project]:
        return iter(self.api.read(f"{self.root}/project", Projects, expand="lead").root)

    def search(self, query: str, fields: str) -> Iterator[Issue]:
        """Yield the issues. Each page begins with the last one of the page before, so that none is missed
        when others are deleted or moved meanwhile."""
        count, last = 0, ""
        for _page in range(MAX_PAGES):
            start = max(count - 1, 0)
            found = self._read_page(query, start, fields=fields, expand="renderedFields")
            issues = found.issues
            if last and (not issues or issues[0].id != last):
                raise SourceUnavailable(CodedMessage("source_list_changed", server=self.api.server.name))
            new = issues[1:] if last else issues
            yield from new
            if start + len(issues) >= found.total:
                return
            if not new:
                raise self.api.server.invalid("total")
            count, last = count + len(new), new[-1].id
        raise SourceRefused(CodedMessage("source_answer_endless", server=self.api.server.name))

    def find_issues(self, issues: Collection[str]) -> list[Issue]:
        """Without validation, the query may name issues that no longer exist."""
        query, fields = f"id in ({', '.join(issues)})", ",".join(ACCESS_FIELDS)
        page = self._read_page(query, 0, fields=fields, validateQuery="false")
        if page.total > len(page.issues):
            raise self.api.server.invalid("total")
        return page.issues

    def _read_page(self, query: str, start: int, **params: str) -> NumberedPage:
        paging = {"startAt": str(start), "maxResults": str(PAGE_LENGTH)}
        return self.api.read(f"{self.root}/search", NumberedPage, jql=query, **paging, **params)

    def list_level_members(self) -> dict[str, list[Holder]] | None:
        return None

    def file_path(self, attachment: str, name: str) -> str:
        return f"secure/attachment/{attachment}/{quote(name, safe='')}"


def require_id(identity: str, name: str) -> str:
    """Return the id of a user or group. Raises UnknownSubject if there is none."""
    if not identity:
        raise UnknownSubject(name or "?")
    return identity
