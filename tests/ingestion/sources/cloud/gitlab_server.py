"""A model of GitLab's REST interface, and its own idea of who sees what."""

import itertools
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.gitlab.options import GitLabOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, Routes, answer_page, require

PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay", "gil")
TOKEN = "glpat-token-of-the-robot"
ROLES = {"minimal": 5, "guest": 10, "planner": 15, "reporter": 20, "security": 25, "owner": 50}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def time_of(day: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, 10, 0, second, tzinfo=UTC)


def show_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


@dataclass
class Note:
    """A comment; `kind` is "", "internal" or "system"."""

    body: str
    author: str = "ada"
    kind: str = ""


@dataclass
class Issue:
    """An issue, with its comments."""

    iid: int
    title: str = "Broken"
    description: str = "Text"
    author: str = "ada"
    assignees: tuple[str, ...] = ()
    confidential: bool = False
    created: datetime = field(default_factory=lambda: time_of(1))
    updated: datetime = field(default_factory=lambda: time_of(2))
    notes: list[Note] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Project:
    """A project. `members`: names of roles by person. `expired`: whose membership ended."""

    id: int
    path: str
    visibility: str = "private"
    members: dict[str, str] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    issues_level: str = "enabled"
    wiki_level: str = "enabled"
    issues: dict[int, Issue] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    is_visible: bool = True
    more: dict[str, Any] = field(default_factory=dict)


class GitLabServer(ApiServer):
    """`limit`: the most rows of an answer. `users`: state by name; `external` are external ones."""

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.is_admin, self.answers_visitors = 3, True, True
        self.token: dict[str, Any] = {"active": True, "scopes": ["read_api"], "expires_at": None}
        self.users: dict[str, str] = dict.fromkeys(PEOPLE, "active")
        self.external: set[str] = set()
        self.projects: dict[int, Project] = {}
        routes: Routes = (
            ("personal_access_tokens/self", lambda _request: self.token),
            ("user", lambda _request: {"id": 900, "username": "robot", "is_admin": self.is_admin}),
            ("users", self._list_users),
            ("projects", self._list_projects),
            ("projects/<path:project>", self._read_project),
            ("projects/<int:project>/members/all", self._list_members),
            ("projects/<int:project>/issues", self._list_issues),
            ("projects/<int:project>/issues/<int:number>", self._read_issue),
            ("projects/<int:project>/issues/<int:number>/notes", self._list_notes),
            ("projects/<int:project>/wikis", self._list_wiki),
            ("projects/<int:project>/wikis/<path:slug>", self._read_wiki_page),
        )
        for path, act in routes:
            self.route(f"/api/v4/{path}", act)

    def authorize(self, request: Request) -> None:
        token = request.headers.get("PRIVATE-TOKEN")
        if token is None:
            found = self.projects.get(int(request.path.rpartition("/")[2]))
            require(self.answers_visitors and found and found.visibility == "public")
        else:
            require(token == TOKEN and self.token["active"], 401)

    # what the model itself knows

    def role_of(self, person: str, project: Project) -> int:
        if self.users[person] != "active" or person in project.expired:
            return 0
        return ROLES.get(project.members.get(person, ""), 0)

    def enters(self, person: str, project: Project, level: str) -> bool:
        """Return whether somebody sees the issues or the wiki of a project at all."""
        if not project.is_visible or level == "disabled":
            return False
        if project.visibility == "public" and level == "enabled" and self.answers_visitors:
            return True
        if self.users[person] != "active":
            return False
        if self.role_of(person, project) >= 10:
            return True
        if level == "private" or project.visibility == "private":
            return False
        return project.visibility == "public" or person not in self.external

    def shows(self, person: str, project: Project, issue: Issue) -> bool:
        if not self.enters(person, project, project.issues_level) or self.users[issue.author] == "banned":
            return False
        is_own = person == issue.author or person in issue.assignees
        return not issue.confidential or is_own or self.role_of(person, project) in (15, 20, 30, 40, 50)

    def list_shown(self, person: str) -> set[str]:
        found = set()
        for project in self.projects.values():
            for issue in project.issues.values():
                if self.shows(person, project, issue):
                    found.add(f"issue:{project.id}:{issue.iid}")
            if self.enters(person, project, project.wiki_level):
                found |= {f"wiki:{project.id}:{slug}" for slug in project.pages}
        return found

    # answers

    @staticmethod
    def dump(value: object) -> str:
        return json.dumps(value)

    def _page(self, request: Request, rows: list[Any], *, counts: bool = True) -> Response:
        return answer_page(request, rows, self.limit, {"X-Total": str(len(rows))} if counts else None)

    def person(self, name: str) -> dict[str, Any]:
        number = PEOPLE.index(name) + 1
        found = {"id": number, "username": name, "name": name.title(), "state": self.users[name]}
        return {**found, "public_email": None, "locked": False}

    def _list_users(self, request: Request) -> Any:
        rows = [self.person(name) for name in PEOPLE]
        for name, row in zip(PEOPLE, rows, strict=True):
            if self.is_admin:
                row |= {"external": name in self.external, "email": email_of(name), "bot": False}
                row |= {"confirmed_at": show_time(time_of(1))}
        rows = [row for row in rows if request.args.get("active") != "true" or row["state"] == "active"]
        return self._page(request, rows)

    def show_project(self, project: Project) -> dict[str, Any]:
        return {
            "id": project.id,
            "path_with_namespace": project.path,
            "visibility": project.visibility,
            "issues_access_level": project.issues_level,
            "wiki_access_level": project.wiki_level,
            "external_authorization_classification_label": None,
            "shared_with_groups": [],
            **project.more,
        }

    def _list_projects(self, request: Request) -> Any:
        require(request.args["membership"] == "true", 400)
        return self._page(
            request, [self.show_project(each) for each in self.projects.values() if each.is_visible]
        )

    def _read_project(self, _request: Request, project: str) -> Any:
        for each in self.projects.values():
            if each.is_visible and project.lower() in (each.path.lower(), str(each.id)):
                return self.show_project(each)
        return require(False)

    def _find_project(self, project: int) -> Project:
        found = self.projects.get(project)
        require(found and found.is_visible)
        assert found is not None
        return found

    def _list_members(self, request: Request, project: int) -> Any:
        found = self._find_project(project)
        rows = [
            {
                **self.person(name),
                "access_level": ROLES[role],
                "expires_at": "2026-11-20" if name in found.expired else "2026-11-21",
                "membership_state": "active",
            }
            for name, role in found.members.items()
        ]
        return self._page(request, rows)

    def show_issue(self, issue: Issue) -> dict[str, Any]:
        return {
            "id": 1000 + issue.iid,
            "iid": issue.iid,
            "title": issue.title,
            "description": issue.description,
            "issue_type": "issue",
            "state": "opened",
            "labels": ["bug", "later"],
            "author": self.person(issue.author),
            "assignees": [self.person(name) for name in issue.assignees],
            "created_at": show_time(issue.created),
            "updated_at": show_time(issue.updated),
            "closed_at": None,
            "due_date": "2026-12-01",
            "confidential": issue.confidential,
            "user_notes_count": sum(note.kind != "system" for note in issue.notes),
            **issue.more,
        }

    def _list_issues(self, request: Request, project: int) -> Any:
        found = self._find_project(project)
        require(found.issues_level != "disabled", 403)
        require(request.args["scope"] == "all", 400)
        issues = sorted(found.issues.values(), key=lambda issue: issue.created)
        numbers = set(map(int, request.args.getlist("iids[]")))
        since, changed = request.args.get("created_after", ""), request.args.get("updated_after", "")
        rows = [
            self.show_issue(issue)
            for issue in issues
            if (not numbers or issue.iid in numbers)
            and show_time(issue.created) >= since
            and show_time(issue.updated) >= changed
        ]
        if numbers:
            return rows
        return self._page(request, rows, counts=False)

    def _read_issue(self, _request: Request, project: int, number: int) -> Any:
        issue = self._find_project(project).issues.get(number)
        require(issue)
        return self.show_issue(issue)  # type: ignore[arg-type]

    def _list_notes(self, request: Request, project: int, number: int) -> Any:
        rows = [
            {
                "id": place,
                "body": note.body,
                "author": self.person(note.author),
                "created_at": show_time(time_of(3, place)),
                "system": note.kind == "system",
                "internal": note.kind == "internal",
                "confidential": note.kind == "internal",
            }
            for place, note in enumerate(self._find_project(project).issues[number].notes)
        ]
        return self._page(request, rows)

    def _list_wiki(self, request: Request, project: int) -> Any:
        found = self._find_project(project)
        require(found.wiki_level != "disabled", 403)
        content = "with_content" in request.args
        return [self._show_page(slug, text, content=content) for slug, text in found.pages.items()]

    def _show_page(self, slug: str, text: str, *, content: bool = True) -> dict[str, Any]:
        found = {"slug": slug, "title": slug.rpartition("/")[2], "format": "markdown"}
        return {**found, "content": text, "encoding": "UTF-8"} if content else found

    def _read_wiki_page(self, _request: Request, project: int, slug: str) -> Any:
        pages = self._find_project(project).pages
        require(slug in pages)
        return self._show_page(slug, pages[slug])


def fill(server: GitLabServer) -> None:
    """Make projects of every visibility, with people of every role, and issues of every kind."""
    server.external = {"fay"}
    roles = dict(zip(PEOPLE, ("owner", "planner", "guest", "minimal", "reporter"), strict=False))
    visibilities = itertools.product(("private", "internal", "public"), ("enabled", "private"))
    for number, (visibility, level) in enumerate(visibilities, 1):
        project = Project(number, f"acme/{visibility}-{level}", visibility, dict(roles))
        project.issues_level, project.wiki_level = level, "private" if number % 2 else "enabled"
        project.pages = {"home": f"Welcome to {number}", "ops/restart": "Pull the plug"}
        server.projects[number] = project
        for place in range(4):
            project.issues[place + 1] = Issue(
                place + 1,
                f"Broken {place}",
                author=("ada", "cy", "gil", "ada")[place],
                assignees=("cy", "fay") if place == 3 else (),
                confidential=place > 0,
                created=time_of(1 + place // 2, place // 2),
            )
        project.issues[1].notes = [
            Note("Seen it too", "bo"),
            Note("For us only", kind="internal"),
            Note("changed the title", kind="system"),
        ]


def change(server: GitLabServer, dice: random.Random) -> None:
    """Change a role, a membership, a user, the visibility of a project, or an issue."""
    project = server.projects[dice.choice(sorted(server.projects))]
    person = dice.choice(PEOPLE)
    match dice.choice(["role", "role", "leave", "expire", "user", "visibility", "level", "issue"]):
        case "role":
            project.members[person] = dice.choice(sorted(ROLES))
        case "leave":
            project.members.pop(person, None)
        case "expire":
            project.expired ^= {person}
        case "user":
            server.users[person] = dice.choice(["active", "active", "blocked", "deactivated"])
        case "visibility":
            project.visibility = dice.choice(["private", "internal", "public"])
        case "level":
            project.issues_level = dice.choice(["enabled", "private", "disabled"])
        case "issue":
            issue = project.issues[dice.choice(sorted(project.issues))]
            issue.confidential, issue.assignees = dice.random() < 0.5, (person,)


def options(server: GitLabServer, **given: Any) -> GitLabOptions:
    return GitLabOptions.model_validate({"url": server.origin, "token": TOKEN, **given})
