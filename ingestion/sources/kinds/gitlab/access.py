"""Access to issues and wiki pages: a person must see the project, and in it the issues or the wiki.

A confidential issue also needs a higher role, unless the person wrote it or is assigned to it.
"""

from datetime import date
from typing import Final

from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceAccess
from cairn.messages import CodedMessage
from ingestion.sources.json_api import RequestRefused, read_as_visitor
from ingestion.sources.kinds.gitlab.answers import Issue, Member, Project
from ingestion.sources.kinds.gitlab.api import ROOT, GitLabApi, ListIncomplete
from ingestion.sources.protocol import AccessUnknown
from ingestion.sources.web_server import WebServer

_NO_ACCESS, _MINIMAL, _GUEST, _PLANNER, _REPORTER, _SECURITY_MANAGER = 0, 5, 10, 15, 20, 25
_DEVELOPER, _MAINTAINER, _OWNER = 30, 40, 50
_WITHOUT_ACCESS: Final = frozenset((_NO_ACCESS, _MINIMAL))
_READ_CONFIDENTIAL: Final = frozenset((_PLANNER, _REPORTER, _DEVELOPER, _MAINTAINER, _OWNER))
_READ: Final = _READ_CONFIDENTIAL | {_GUEST, _SECURITY_MANAGER}
INTERNAL_USERS: Final = "users"
"""Group of all users who aren't external."""


class AccessReader:
    """Reads the access to projects. It caches everything it reads, so use it for one batch.

    `visitor` is the server as an anonymous visitor sees it.
    """

    def __init__(self, api: GitLabApi, visitor: WebServer, today: date) -> None:
        self._api, self._visitor, self._today = api, visitor, today
        self._members: dict[int, list[Member] | str] = {}
        self._open: dict[int, bool] = {}
        self._lists_users: bool | None = None

    @property
    def lists_users(self) -> bool:
        """Whether all users of GitLab are known, and who of them is external."""
        if self._lists_users is None:
            self._lists_users = self._api.lists_users()
        return self._lists_users

    def find_access(self, project: Project, issue: Issue | None = None) -> SourceAccess:
        """Return the access to an issue, without one that to the pages of the wiki."""
        try:
            levels = [self._find_readers(project, project.issues_level if issue else project.wiki_level)]
        except AccessUnknown as error:
            return SourceAccess(unknown=error.reason)
        if issue and issue.is_hidden:
            return SourceAccess(unknown=CodedMessage("gitlab_author_banned"))
        if issue and issue.confidential:
            people = filter(None, (issue.author, *issue.assignees))
            subjects = dict.fromkeys((confidential_group(project), *(person.subject for person in people)))
            levels.append(tuple(map(AccessEntry, subjects)))
        return SourceAccess(tuple(levels))

    def find_members(self, project: Project) -> list[Member]:
        """Return the members of a project who may read it. Raises AccessUnknown."""
        if project.id not in self._members:
            self._members[project.id] = self._read_members(project)
        found = self._members[project.id]
        if isinstance(found, str):
            raise AccessUnknown(found)
        return found

    def _read_members(self, project: Project) -> list[Member] | str:
        """Return the members, or why they aren't known."""
        try:
            found = self._api.list_members(project)
        except (RequestRefused, ListIncomplete) as error:
            return error.message
        for member in found:
            if member.access_level not in _READ | _WITHOUT_ACCESS:
                return CodedMessage("gitlab_role_unknown", project=project.path, role=member.access_level)
        return [each for each in found if each.access_level in _READ and each.is_member(self._today)]

    def _find_readers(self, project: Project, level: str) -> AccessLevel:
        """Return who may read a project's issues or wiki. Raises AccessUnknown."""
        self._require_known(project, level)
        self.find_members(project)
        members = (AccessEntry(members_group(project)),)
        if project.visibility == "private" or level == "private":
            return members
        if project.visibility == "public" and self._is_open(project):
            return (AccessEntry(EVERYONE),)
        if not self.lists_users:
            raise AccessUnknown(CodedMessage("gitlab_internal_unlisted", project=project.path))
        return (AccessEntry(INTERNAL_USERS), *members)

    def _require_known(self, project: Project, level: str) -> None:
        """Raise AccessUnknown if something decides that Cairn doesn't know."""
        if level not in {"enabled", "private"} or project.visibility not in {"private", "internal", "public"}:
            raise AccessUnknown(CodedMessage("gitlab_visibility_unknown", project=project.path))
        if project.classification:
            raise AccessUnknown(CodedMessage("gitlab_classified", project=project.path))
        if project.owner and project.owner.is_banned:
            raise AccessUnknown(CodedMessage("gitlab_author_banned"))
        if any(share.expires_at and share.expires_at <= self._today for share in project.shares):
            raise AccessUnknown(CodedMessage("gitlab_share_expired", project=project.path))

    def _is_open(self, project: Project) -> bool:
        """Return whether GitLab shows a project to visitors: the project itself, not a page to sign in. It
        may keep visitors out whatever its projects allow."""
        if project.id not in self._open:
            found = read_as_visitor(self._visitor, f"{ROOT}/projects/{project.id}", Project)
            self._open[project.id] = found is not None and found.id == project.id
        return self._open[project.id]


def reads_confidential(member: Member) -> bool:
    """Return whether a member's role is enough for confidential issues."""
    return member.access_level in _READ_CONFIDENTIAL


def members_group(project: Project) -> str:
    """Return the id of the group of those who have a role in a project."""
    return f"members:{project.id}"


def confidential_group(project: Project) -> str:
    """Return the id of the group of those whose role is enough for confidential issues."""
    return f"confidential:{project.id}"
