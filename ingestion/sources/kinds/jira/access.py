"""Access to issues: a person must be allowed by the project, and by the security level of the issue.

Both name people, groups, roles and others, and the reporter and the assignee of each issue.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceAccess
from cairn.messages import CodedMessage
from ingestion.sources.atlassian import UnknownSubject
from ingestion.sources.json_api import RequestRefused, read_as_visitor
from ingestion.sources.kinds.jira.answers import ApplicationRole, Group, Holder, Issue, Person, Project
from ingestion.sources.kinds.jira.api import JiraApi, require_id
from ingestion.sources.protocol import AccessUnknown
from ingestion.sources.web_server import WebServer

_REPORTER, _ASSIGNEE = "reporter", "assignee"
_PORTAL_ONLY: Final = "sd.customer.portal.only"
"""Customers of a service desk: they see a portal, but no issues in Jira."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read issues of a project or level: ids, `EVERYONE`, and the reporter and the assignee by
    these words. `unknown` says why that isn't fully known."""

    subjects: tuple[str, ...] = ()
    unknown: str = ""


class AccessReader:
    """Reads the access of issues in these projects. It caches everything it reads, so use it for one batch.

    `visitor` is the server as an anonymous visitor sees it.
    """

    def __init__(self, api: JiraApi, visitor: WebServer, projects: Iterable[Project]) -> None:
        self._api, self._visitor = api, visitor
        self._projects = {project.id: project for project in projects}
        self._readers: dict[tuple[str, str], Readers] = {}
        self._open: dict[str, bool] = {}
        self._actors: dict[tuple[str, str], tuple[str, ...]] = {}

    def find_access(self, issue: Issue) -> SourceAccess | None:
        """Return the access of an issue, None if it is in none of the projects."""
        project = self._projects.get(issue.fields.project.id)
        if project is None:
            return None
        found = [self._find_readers(project)]
        level = issue.fields.security
        if level:
            found.append(self._find_readers(project, level.id, level.name))
        elif "security" not in issue.fields.model_fields_set:
            found.append(self._find_readers_without_level(project))
        unknown = next((readers.unknown for readers in found if readers.unknown), "")
        if unknown:
            return SourceAccess(unknown=unknown)
        return SourceAccess(tuple(_build_level(readers.subjects, issue) for readers in found))

    def find_groups(self) -> set[str]:
        """Return the groups that occur in the access of issues."""
        found = set(self.user_groups)
        for project in self._projects.values():
            found |= set(self._find_readers(project).subjects)
            for level in self._levels or ():
                found |= set(self._find_readers(project, level).subjects)
        return {subject for subject in found if subject.startswith("group:")}

    @cached_property
    def user_groups(self) -> tuple[str, ...]:
        """Groups whose members may use Jira."""
        return tuple(dict.fromkeys(group for role in self._products for group in self._list_groups(role)))

    @cached_property
    def _products(self) -> list[ApplicationRole]:
        return self._api.list_products()

    @cached_property
    def _levels(self) -> dict[str, list[Holder]] | None:
        return self._api.list_level_members()

    def _find_readers_without_level(self, project: Project) -> Readers:
        """Return who may read an issue whose answer has no field for the level: everyone, but only if the
        project's issues have no levels."""
        key = (project.id, "?")
        if key not in self._readers:
            try:
                hides = self._api.has_levels(project)
                unknown = CodedMessage("jira_level_hidden", project=project.name or project.key)
                self._readers[key] = Readers((EVERYONE,), unknown=unknown if hides else "")
            except RequestRefused as error:
                self._readers[key] = Readers(unknown=error.message)
        return self._readers[key]

    def _find_readers(self, project: Project, level: str = "", name: str = "") -> Readers:
        """Return who may read issues of a project, or those with a security level in it."""
        key = (project.id, level)
        if key not in self._readers:
            try:
                holders = self._list_level(level, name) if level else self._list_project(project)
                subjects = [subject for holder in holders for subject in self._find_subjects(holder, project)]
                self._readers[key] = Readers(tuple(dict.fromkeys(subjects)))
            except UnknownSubject as error:
                unknown = CodedMessage("jira_grant_unknown", name=str(error))
                self._readers[key] = Readers(unknown=unknown)
            except AccessUnknown as error:
                self._readers[key] = Readers(unknown=error.reason)
            except RequestRefused as error:
                self._readers[key] = Readers(unknown=error.message)
        return self._readers[key]

    def _list_project(self, project: Project) -> list[Holder]:
        if project.simplified:
            raise AccessUnknown(CodedMessage("jira_project_team_managed", name=project.name or project.key))
        return self._api.list_grants(project)

    def _list_level(self, level: str, name: str) -> list[Holder]:
        if self._levels is None:
            raise AccessUnknown(CodedMessage("jira_level_unknown", name=name or level))
        return self._levels.get(level, [])

    def _find_subjects(self, holder: Holder, project: Project) -> tuple[str, ...]:
        """Return whom a permission is given to. Raises UnknownSubject."""
        match holder.type:
            case "reporter" | "assignee":
                return (holder.type,)
            case "user":
                return (self._find_user(holder),)
            case "group":
                return (self._find_group(holder),)
            case "projectLead":
                return (require_id(project.lead.id if project.lead else "", holder.type),)
            case "projectRole":
                return self._find_role(project, holder.value or holder.parameter)
            case "applicationRole":
                return self._find_product(holder.parameter)
            case "anyone":
                return (EVERYONE,) if self._is_open(project) else self.user_groups
            case _ if holder.type == _PORTAL_ONLY:
                return ()
        raise UnknownSubject(f"{holder.type} {holder.parameter}".strip())

    def _find_user(self, holder: Holder) -> str:
        user = holder.user or Person(account_id=holder.value)
        return require_id(user.id, user.name or f"user {holder.parameter}")

    def _find_group(self, holder: Holder) -> str:
        group = holder.group or Group(id=holder.value, name=holder.parameter)
        return require_id(self._api.group_id(group), group.name)

    def _find_role(self, project: Project, role: str) -> tuple[str, ...]:
        if (project.id, role) not in self._actors:
            self._actors[project.id, role] = self._api.list_actors(project, require_id(role, "role"))
        return self._actors[project.id, role]

    def _find_product(self, key: str) -> tuple[str, ...]:
        """Return the groups that may use a product, or any if none is named."""
        if not key:
            return self.user_groups
        for role in self._products:
            if role.key == key:
                return self._list_groups(role)
        raise UnknownSubject(f"applicationRole {key}")

    def _list_groups(self, role: ApplicationRole) -> tuple[str, ...]:
        groups = role.details or [Group(name=name) for name in role.groups]
        return tuple(require_id(self._api.group_id(group), group.name) for group in groups)

    def _is_open(self, project: Project) -> bool:
        """Return whether Jira shows a project to visitors: the project itself, not a page to sign in. A site
        may keep visitors out whatever its projects allow."""
        if project.id not in self._open:
            found = read_as_visitor(self._visitor, f"{self._api.root}/project/{project.id}", Project)
            self._open[project.id] = found is not None and found.id == project.id
        return self._open[project.id]


def _build_level(subjects: Iterable[str], issue: Issue) -> AccessLevel:
    """Return the level for one issue, with its own reporter and assignee."""
    people: dict[str, Person | None] = {
        _REPORTER: issue.fields.reporter,
        _ASSIGNEE: issue.fields.assignee,
    }
    found = list[str]()
    for subject in subjects:
        if subject not in people:
            found.append(subject)
            continue
        person = people[subject]
        if person and person.id:
            found.append(person.id)
    return tuple(AccessEntry(subject) for subject in dict.fromkeys(found))
