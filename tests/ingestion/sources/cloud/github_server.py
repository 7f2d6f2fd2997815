"""A model of GitHub's REST interface, and its own idea of who sees what."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.github.options import GitHubOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, Routes, answer_page, require

PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay")
TOKEN = "github_pat_of_the_robot"
ROLES = ("read", "triage", "write", "maintain", "admin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def time_of(day: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, 10, 0, second, tzinfo=UTC)


def show_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Comment:
    """A comment. GitHub's documentation doesn't say that `updated` changes the time of the issue."""

    body: str
    author: str = "ada"
    updated: datetime = field(default_factory=lambda: time_of(2))
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Issue:
    """An issue, or a pull request."""

    number: int
    title: str = "Broken"
    body: str | None = "Text"
    author: str = "ada"
    assignees: tuple[str, ...] = ()
    pull: dict[str, Any] | None = None
    updated: datetime = field(default_factory=lambda: time_of(2))
    comments: dict[int, Comment] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Repository:
    """A repository. `direct` and `teams` are roles by person and by team."""

    id: int
    path: str
    visibility: str = "private"
    direct: dict[str, str] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    has_issues: bool = True
    more: dict[str, Any] = field(default_factory=dict)


class GitHubServer(ApiServer):
    """`limit`: the most rows of an answer. `parents`: the team above a team, whose roles it has, too.

    All repositories are of the organization “acme” with the id 70, whose members have the role `base`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.answers_visitors, self.token_headers = 3, True, dict[str, str]()
        self.is_valid = True
        self.owners: set[str] = set()
        self.members: set[str] = set()
        self.base = "none"
        self.teams: dict[str, set[str]] = {}
        self.parents: dict[str, str] = {}
        self.repositories: dict[int, Repository] = {}
        repository = "repos/<owner>/<name>"
        routes: Routes = (
            ("user", self._read_account),
            ("user/<int:identity>", self._read_person),
            ("user/repos", self._list_repositories),
            ("orgs/<owner>/repos", self._list_repositories),
            ("orgs/<owner>/members", self._list_members),
            (repository, lambda _request, owner, name: self.show_repository(self._find(owner, name))),
            (f"{repository}/collaborators", self._list_collaborators),
            (f"{repository}/issues", self._list_issues),
            (f"{repository}/issues/comments", self._list_changed_comments),
            (f"{repository}/issues/<int:number>", self._read_issue),
            (f"{repository}/issues/<int:number>/comments", self._list_comments),
        )
        for path, act in routes:
            self.route(f"/api/v3/{path}", act)

    def authorize(self, request: Request) -> None:
        given = request.headers.get("Authorization")
        if given is None:
            path = request.path.removeprefix("/api/v3/repos/")
            found = [each for each in self.repositories.values() if each.path == path]
            require(self.answers_visitors and found and found[0].visibility == "public")
        else:
            require(given == f"Bearer {TOKEN}" and self.is_valid, 401)

    # what the model itself knows

    def role_of(self, person: str, repository: Repository) -> str:
        """Return the highest role of somebody in a repository, "" if there is none."""
        found = [repository.direct.get(person, "")]
        for team, people in self.teams.items():
            above: str | None = team
            while above and person in people:
                found.append(repository.teams.get(above, ""))
                above = self.parents.get(above)
        if person in self.owners:
            found.append("admin")
        if person in self.members | self.owners and self.base != "none":
            found.append(self.base)
        return max(found, key=lambda role: ROLES.index(role) if role else -1)

    def shows(self, person: str, repository: Repository) -> bool:
        if repository.visibility == "public" and self.answers_visitors:
            return True
        is_member = person in self.members | self.owners
        return (repository.visibility != "private" and is_member) or bool(self.role_of(person, repository))

    def list_shown(self, person: str) -> set[str]:
        found = set()
        for repository in self.repositories.values():
            for issue in repository.issues.values() if self.shows(person, repository) else ():
                if issue.pull is not None:
                    found.add(f"pull:{repository.id}:{issue.number}")
                elif repository.has_issues:
                    found.add(f"issue:{repository.id}:{issue.number}")
        return found

    # answers

    def _page(self, request: Request, rows: list[Any]) -> Response:
        return answer_page(request, rows, self.limit)

    def person(self, name: str) -> dict[str, Any]:
        return {"id": PEOPLE.index(name) + 1, "login": name, "type": "User", "site_admin": False}

    def _read_account(self, _request: Request) -> Response:
        account = {"id": 900, "login": "robot", "type": "User", "email": None}
        return Response(json.dumps(account), headers=self.token_headers)

    def _read_person(self, _request: Request, identity: int) -> Any:
        require(0 < identity <= len(PEOPLE))
        name = PEOPLE[identity - 1]
        return {**self.person(name), "name": name.title(), "email": email_of(name)}

    def show_repository(self, repository: Repository) -> dict[str, Any]:
        return {
            "id": repository.id,
            "full_name": repository.path,
            "owner": {"id": 70, "login": "acme", "type": "Organization"},
            "private": repository.visibility != "public",
            "visibility": repository.visibility,
            "has_issues": repository.has_issues,
            **repository.more,
        }

    def _list_repositories(self, request: Request, owner: str = "acme") -> Any:
        require(owner == "acme")
        return self._page(request, [self.show_repository(each) for each in self.repositories.values()])

    def _find(self, owner: str, name: str) -> Repository:
        path = f"{owner}/{name}".lower()
        found = [each for each in self.repositories.values() if each.path.lower() == path]
        require(found)
        return found[0]

    def _list_members(self, request: Request, owner: str) -> Any:
        require(owner == "acme")
        return self._page(request, [self.person(name) for name in sorted(self.members | self.owners)])

    def _list_collaborators(self, request: Request, owner: str, name: str) -> Any:
        require(request.args["affiliation"] == "all", 422)
        repository = self._find(owner, name)
        rows = []
        for person in PEOPLE:
            role = self.role_of(person, repository)
            levels = ROLES[: ROLES.index(role) + 1] if role else ()
            names = dict(zip(ROLES, ("pull", "triage", "push", "maintain", "admin"), strict=True))
            if role:
                permissions = {name: each in levels for each, name in names.items()}
                rows.append({**self.person(person), "permissions": permissions, "role_name": role})
        return self._page(request, rows)

    def show_issue(self, issue: Issue) -> dict[str, Any]:
        found = {
            "id": 1000 + issue.number,
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "user": self.person(issue.author),
            "assignees": [self.person(name) for name in issue.assignees],
            "labels": [{"id": 1, "name": "bug"}, "later"],
            "state": "open",
            "state_reason": None,
            "comments": len(issue.comments),
            "created_at": show_time(time_of(1)),
            "updated_at": show_time(issue.updated),
            "closed_at": None,
        }
        return found | ({} if issue.pull is None else {"pull_request": issue.pull}) | issue.more

    def _list_issues(self, request: Request, owner: str, name: str) -> Any:
        order = {"state": "all", "sort": "updated", "direction": "asc"}
        require(order.items() <= dict(request.args).items(), 422)
        found, since = self._find(owner, name), request.args.get("since", "")
        issues = sorted(found.issues.values(), key=lambda issue: issue.updated)
        rows = [self.show_issue(issue) for issue in issues if show_time(issue.updated) > since]
        return self._page(request, rows)

    def _read_issue(self, _request: Request, owner: str, name: str, number: int) -> Any:
        issue = self._find(owner, name).issues.get(number)
        require(issue)
        return self.show_issue(issue)  # type: ignore[arg-type]

    def _show_comment(self, number: int, place: int, comment: Comment) -> dict[str, Any]:
        return {
            "id": number * 100 + place,
            "body": comment.body,
            "user": self.person(comment.author),
            "created_at": show_time(time_of(2, place)),
            "updated_at": show_time(comment.updated),
            "issue_url": f"https://wrong.example/repos/acme/x/issues/{number}",
            "minimized": None,
            **comment.more,
        }

    def _list_changed_comments(self, request: Request, owner: str, name: str) -> Any:
        require({"sort": "updated", "direction": "asc"}.items() <= dict(request.args).items(), 422)
        rows = [
            self._show_comment(issue.number, place, comment)
            for issue in self._find(owner, name).issues.values()
            for place, comment in issue.comments.items()
        ]
        since = request.args.get("since", "")
        rows = [row for row in rows if row["updated_at"] > since]
        return self._page(request, sorted(rows, key=lambda row: row["updated_at"]))

    def _list_comments(self, request: Request, owner: str, name: str, number: int) -> Any:
        comments = self._find(owner, name).issues[number].comments
        return self._page(request, [self._show_comment(number, *each) for each in sorted(comments.items())])


def fill(server: GitHubServer) -> None:
    """Make repositories of every visibility, with people of every role, and issues and pull requests."""
    server.owners, server.members = {"ada"}, {"bo", "cy"}
    server.teams, server.parents = {"staff": {"di"}, "robots": {"cy"}}, {"robots": "staff"}
    for number, visibility in enumerate(("private", "internal", "public", "private"), 1):
        repository = Repository(number, f"acme/{visibility}-{number}", visibility)
        repository.direct, repository.teams = {"eve": "read"}, {"staff": ROLES[number]}
        server.repositories[number] = repository
        for place in range(1, 5):
            repository.issues[place] = Issue(
                place, f"Broken {place}", pull={"merged_at": None} if place == 4 else None
            )
            repository.issues[place].updated = time_of(1, place)
        repository.issues[1].comments = {1: Comment("Seen it too", "bo", time_of(1))}
    server.repositories[4].direct, server.repositories[4].teams = {}, {}


def change(server: GitHubServer, dice: random.Random) -> None:
    """Change a role, a team, the members or the owners of the organization, or a visibility."""
    repository = server.repositories[dice.choice(sorted(server.repositories))]
    person, team = dice.choice(PEOPLE), dice.choice(sorted(server.teams))
    match dice.choice(["role", "leave", "team", "people", "members", "owners", "base", "visibility"]):
        case "role":
            repository.direct[person] = dice.choice(ROLES)
        case "leave":
            repository.direct.pop(person, None)
        case "team":
            repository.teams[team] = dice.choice(ROLES)
        case "people":
            server.teams[team] ^= {person}
        case "members":
            server.members ^= {person}
        case "owners":
            server.owners ^= {person}
        case "base":
            server.base = dice.choice(["none", "none", "read"])
        case "visibility":
            repository.visibility = dice.choice(["private", "private", "internal", "public"])


def options(server: GitHubServer, **given: Any) -> GitHubOptions:
    return GitHubOptions.model_validate({"url": server.origin, "token": TOKEN, **given})
