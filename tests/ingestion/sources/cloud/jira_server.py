"""A model of Jira with the interfaces of both editions, and its own idea of who sees what."""

import base64
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.jira.options import JiraOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, Routes, require, slice_page

PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay")
ROBOT, TOKEN = "robot@example.org", "token of the robot"
DAY = "2026-11-{day:02}T10:00:00.000+0000"
Grant = tuple[str, str]
"""Kind and parameter: a person's name, "@" and a group's name, a role's number, or a product."""
ROLES = ("10", "11")


@dataclass
class Project:
    """`roles`: names of people and, with a leading "@", of groups, by the role's number."""

    id: int
    grants: list[Grant]
    roles: dict[str, set[str]] = field(default_factory=dict)
    lead: str = "ada"
    simplified: bool = False


@dataclass
class Comment:
    """`role`: the role that alone sees it, all if empty."""

    id: int
    author: str
    text: str
    role: str = ""
    public: bool = True


@dataclass
class Issue:
    """`level` is the id of a security level. `files` are contents by name."""

    id: int
    project: str
    summary: str = "Broken & bent"
    text: str = "<p>Text</p>"
    reporter: str = "ada"
    assignee: str = ""
    level: str = ""
    day: int = 1
    comments: list[Comment] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.project}-{self.id}"


class JiraServer(ApiServer):
    """`limit`: the most rows of an answer. `answers_visitors`: whether the site lets visitors in at all."""

    def __init__(self, edition: str) -> None:
        super().__init__()
        self.edition, self.limit, self.is_valid, self.answers_visitors = edition, 3, True, True
        self.projects: dict[str, Project] = {}
        self.issues: dict[int, Issue] = {}
        self.levels: dict[str, list[Grant]] = {}
        self.groups: dict[str, set[str]] = {}
        self.products = {"jira-software": ("users",), "jira-servicedesk": ("agents",)}
        self.storage_requests: list[dict[str, str]] = []
        self.hides_levels, self.inactive = False, set[str]()
        self._add_routes()

    @property
    def is_cloud(self) -> bool:
        return self.edition == "cloud"

    @property
    def url(self) -> str:
        return self.origin

    def _add_routes(self) -> None:
        root = "/rest/api/3" if self.is_cloud else "/rest/api/2"
        common: Routes = (
            (f"{root}/myself", lambda _request: self._person("robot")),
            (f"{root}/applicationrole", self._list_products),
            (f"{root}/group/member", self._list_members),
            (f"{root}/project/<int:project>", lambda _request, project: self._project(self._key(project))),
            (f"{root}/project/<int:project>/permissionscheme", self._read_scheme),
            (f"{root}/project/<int:project>/issuesecuritylevelscheme", self._read_level_scheme),
            (f"{root}/project/<int:project>/role/<role>", self._read_role),
            (f"{root}/issue/<int:issue>", self._read_issue),
            (f"{root}/issue/<int:issue>/comment", self._list_comments),
        )
        cloud: Routes = (
            (f"{root}/project/search", self._list_projects),
            (f"{root}/search/jql", self._search),
            (f"{root}/issuesecurityschemes/level/member", self._list_level_members),
            (f"{root}/attachment/content/<int:file>", self._redirect_download),
            ("/storage/<int:file>", self._download),
        )
        center: Routes = (
            (f"{root}/project", self._list_projects),
            (f"{root}/search", self._search),
            (f"{root}/user", self._read_user),
            ("/secure/attachment/<int:file>/<name>", self._download),
        )
        for path, act in (*common, *(cloud if self.is_cloud else center)):
            self.route(path, act)
        if self.is_cloud:
            self.route(f"{root}/issue/bulkfetch", self._fetch, ("POST",))

    def authorize(self, request: Request) -> None:
        if request.path.startswith("/storage/"):
            self.storage_requests.append(dict(request.headers))
            return
        found = re.fullmatch(r"/rest/api/\d/project/(\d+)", request.path)
        if found and "Authorization" not in request.headers:
            require(self.is_open(self._key(int(found[1]))))
            return
        basic = base64.b64encode(f"{ROBOT}:{TOKEN}".encode()).decode()
        expected = f"Basic {basic}" if self.is_cloud else f"Bearer {TOKEN}"
        require(self.is_valid and request.headers.get("Authorization") == expected, 401)

    # what the model itself knows

    def is_open(self, project: str) -> bool:
        return self.answers_visitors and ("anyone", "") in self.projects[project].grants

    def may_sign_in(self, person: str) -> bool:
        names = {name for groups in self.products.values() for name in groups}
        return person not in self.inactive and any(person in self.groups[name] for name in names)

    def shows(self, person: str, issue: Issue) -> bool:
        """Return whether Jira shows an issue to a person; "" is a visitor."""
        levels = [self.projects[issue.project].grants]
        if issue.level:
            levels.append(self.levels[issue.level])
        return all(any(self._grants(grant, person, issue) for grant in level) for level in levels)

    def _grants(self, grant: Grant, person: str, issue: Issue) -> bool:
        kind, parameter = grant
        project = self.projects[issue.project]
        if kind == "anyone":
            return self.is_open(issue.project) or self.may_sign_in(person)
        if not self.may_sign_in(person):
            return False
        match kind:
            case "reporter" | "assignee":
                return getattr(issue, kind) == person
            case "user":
                return parameter == person
            case "group":
                return person in self.groups[parameter]
            case "projectLead":
                return project.lead == person
            case "projectRole":
                names = project.roles.get(parameter, set())
                return person in names or any(person in self.groups[n[1:]] for n in names if n[0] == "@")
            case "applicationRole":
                products = [parameter] if parameter else list(self.products)
                return any(person in self.groups[n] for one in products for n in self.products[one])
        return False

    def list_shown(self, person: str) -> set[str]:
        found = set()
        for issue in self.issues.values():
            if self.shows(person, issue):
                found |= {f"issue:{issue.id}"}
                found |= {f"file:{number_of(issue, name)}:{issue.id}" for name in issue.files}
        return found

    # answers

    def _values(self, request: Request, rows: Iterable[Any]) -> dict[str, Any]:
        start = int(request.args.get("startAt", 0))
        found, following = slice_page(list(rows), start, min(int(request.args["maxResults"]), self.limit))
        return {"startAt": start, "maxResults": self.limit, "isLast": following is None, "values": found}

    def _person(self, name: str) -> dict[str, Any]:
        found = {"displayName": name.title(), "active": True, "emailAddress": email_of(name)}
        if self.is_cloud:
            return {**found, "accountId": f"id-of-{name}", "accountType": "atlassian"}
        return {**found, "name": f"login-of-{name}", "key": f"id-of-{name}"}

    def _group(self, name: str) -> dict[str, str]:
        return {"name": name, "groupId": f"group-{name}"} if self.is_cloud else {"name": name}

    def _list_products(self, _request: Request) -> Any:
        rows = [{"key": key, "name": key, "groups": list(names)} for key, names in self.products.items()]
        for row in rows if self.is_cloud else ():
            row["groupDetails"] = [self._group(name) for name in row["groups"]]
        return rows

    def _list_members(self, request: Request) -> Any:
        name = request.args["groupId" if self.is_cloud else "groupname"].removeprefix("group-")
        require(name in self.groups)
        active = sorted(self.groups[name] - self.inactive)
        return self._values(request, [self._person(one) for one in active])

    def _read_user(self, request: Request) -> Any:
        name = request.args["username"].removeprefix("login-of-")
        require(name in PEOPLE)
        return self._person(name)

    def _key(self, number: int) -> str:
        found = [key for key, project in self.projects.items() if project.id == number]
        require(found)
        return found[0]

    def _project(self, key: str) -> dict[str, Any]:
        project = self.projects[key]
        found = {"id": str(project.id), "key": key, "name": f"Project {key}"}
        if self.is_cloud:
            found |= {"simplified": project.simplified}
        return {**found, "lead": self._person(project.lead)}

    def _list_projects(self, request: Request) -> Any:
        rows = [self._project(key) for key in sorted(self.projects)]
        return self._values(request, rows) if self.is_cloud else rows

    def _holder(self, grant: Grant) -> dict[str, Any]:
        kind, parameter = grant
        found: dict[str, Any] = {"type": kind}
        if kind == "user":
            return {**found, "parameter": f"id-of-{parameter}", "user": self._person(parameter)}
        if kind == "group":
            value = {"value": f"group-{parameter}"} if self.is_cloud else {}
            return {**found, "parameter": parameter, "group": self._group(parameter), **value}
        return {**found, "parameter": parameter or None}

    def _read_scheme(self, request: Request, project: int) -> Any:
        require("permissions" in request.args["expand"], 400)
        grants = self.projects[self._key(project)].grants
        rows = [{"permission": "BROWSE_PROJECTS", "holder": self._holder(grant)} for grant in grants]
        rows.append({"permission": "CREATE_ISSUES", "holder": self._holder(("group", "users"))})
        return {"id": 1, "name": "Scheme", "permissions": rows}

    def _read_level_scheme(self, _request: Request, project: int) -> Any:
        require(self.levels and self._key(project))
        return {"id": 1, "levels": [{"id": level} for level in self.levels]}

    def _list_level_members(self, request: Request) -> Any:
        rows = [(level, grant) for level, grants in self.levels.items() for grant in grants]
        return self._values(
            request,
            [
                {"id": str(number), "issueSecurityLevelId": level, "holder": self._holder(grant)}
                for number, (level, grant) in enumerate(rows)
            ],
        )

    def _read_role(self, _request: Request, project: int, role: str) -> Any:
        names = sorted(self.projects[self._key(project)].roles.get(role, set()))
        actors: list[dict[str, Any]] = []
        for name in names:
            if name[0] == "@":
                group = {"actorGroup": self._group(name[1:])} if self.is_cloud else {}
                actors.append({"type": "atlassian-group-role-actor", "name": name[1:], **group})
            else:
                user = (
                    {"actorUser": {"accountId": f"id-of-{name}"}}
                    if self.is_cloud
                    else {"name": f"login-of-{name}"}
                )
                actors.append({"type": "atlassian-user-role-actor", "displayName": name, **user})
        return {"id": int(role), "name": f"Role {role}", "actors": actors}

    def _comment(self, comment: Comment) -> dict[str, Any]:
        found: dict[str, Any] = {"id": str(comment.id), "author": self._person(comment.author)}
        found |= {"created": DAY.format(day=2), "body": "raw text"}
        if self.is_cloud:
            found["jsdPublic"] = comment.public
        if comment.role:
            found["visibility"] = {"type": "role", "value": comment.role}
        return found

    def _issue(self, issue: Issue, asked: Iterable[str], *, rendered: bool) -> dict[str, Any]:
        first = issue.comments[: self.limit]
        fields: dict[str, Any] = {
            "project": self._project(issue.project),
            "summary": issue.summary,
            "description": {"type": "doc"} if self.is_cloud else "h1. raw",
            "reporter": self._person(issue.reporter),
            "assignee": self._person(issue.assignee) if issue.assignee else None,
            "issuetype": {"id": "1", "name": "Bug"},
            "status": {"id": "1", "name": "Open"},
            "labels": ["hull"],
            "updated": DAY.format(day=issue.day),
            "attachment": [
                {
                    "id": str(number_of(issue, name)),
                    "filename": name,
                    "size": len(content),
                    "created": DAY.format(day=1),
                }
                for name, content in issue.files.items()
            ],
            "comment": {"comments": [self._comment(one) for one in first], "total": len(issue.comments)},
            "security": {"id": issue.level, "name": f"Level {issue.level}"} if issue.level else None,
        }
        if self.hides_levels:
            del fields["security"]
        html = {
            "description": issue.text,
            "comment": {"comments": [{"id": str(one.id), "body": one.text} for one in first]},
        }
        found = {"id": str(issue.id), "key": issue.key}
        found |= {"fields": {name: value for name, value in fields.items() if name in set(asked)}}
        return {**found, "renderedFields": html} if rendered else found

    def _answer_issues(self, request: Request, issues: Iterable[Issue]) -> list[Any]:
        rendered = "renderedFields" in request.args.get("expand", "")
        return [self._issue(each, request.args["fields"].split(","), rendered=rendered) for each in issues]

    def _read_issue(self, request: Request, issue: int) -> Any:
        require(issue in self.issues)
        return self._answer_issues(request, [self.issues[issue]])[0]

    def _list_comments(self, request: Request, issue: int) -> Any:
        require(request.args["expand"] == "renderedBody", 400)
        comments, start = self.issues[issue].comments, int(request.args["startAt"])
        rows = [self._comment(one) | {"renderedBody": one.text} for one in comments]
        return {"comments": rows[start : start + self.limit], "total": len(rows), "startAt": start}

    def _fetch(self, request: Request) -> Any:
        asked = request.get_json()
        require(len(asked["issueIdsOrKeys"]) <= 100, 400)
        found = [self.issues[int(one)] for one in asked["issueIdsOrKeys"] if int(one) in self.issues]
        return {"issues": [self._issue(each, asked["fields"], rendered=False) for each in found]}

    def _search(self, request: Request) -> Any:
        query = request.args["jql"]
        named = re.match(r"id in \(([\d, ]+)\)$", query)
        if named:
            numbers = [int(one) for one in named[1].split(",")]
            require(request.args.get("validateQuery") == "false" or set(numbers) <= set(self.issues), 400)
            found = [self.issues[one] for one in numbers if one in self.issues]
            issues = self._answer_issues(request, found)
            return {"startAt": 0, "total": len(issues), "issues": issues}
        chosen = re.match(
            r'project = (\d+)(?: AND updated >= "2026-(\d\d)-(\d\d) \d\d:\d\d")?'
            r" ORDER BY created ASC, key ASC$",
            query,
        )
        require(chosen, 400)
        assert chosen
        project, month, day = chosen.groups()
        require(int(project) in {each.id for each in self.projects.values()}, 400)
        first = 0 if month is None else int(day) + 31 * (int(month) - 11)
        rows = [
            issue
            for _number, issue in sorted(self.issues.items())
            if self.projects[issue.project].id == int(project) and issue.day >= first
        ]
        return self._page_of_issues(request, rows)

    def _page_of_issues(self, request: Request, rows: list[Issue]) -> dict[str, Any]:
        name = "nextPageToken" if self.is_cloud else "startAt"
        start = int(request.args.get(name, 0))
        found, following = slice_page(rows, start, self.limit)
        page: dict[str, Any] = {"issues": self._answer_issues(request, found)}
        if not self.is_cloud:
            return {**page, "startAt": start, "maxResults": self.limit, "total": len(rows)}
        page["isLast"] = following is None
        return page if following is None else {**page, "nextPageToken": str(following)}

    def _redirect_download(self, _request: Request, file: int) -> Response:
        return Response("", 303, {"Location": f"{self.origin}storage/{file}?signature=a%2Fb"})

    def _download(self, request: Request, file: int, name: str = "") -> Response:
        require(name or request.args["signature"] == "a/b", 403)
        for issue in self.issues.values():
            for each, content in issue.files.items():
                if number_of(issue, each) == file:
                    return Response(content)
        return Response("", 404)


def number_of(issue: Issue, name: str) -> int:
    """Return the id of an attachment."""
    return issue.id * 1000 + sum(name.encode())


def fill(server: JiraServer) -> None:
    """Make three projects with different kinds of permissions, and groups. Fay is in a group, but may not
    use Jira. Only the cloud has security levels here."""
    server.groups = {
        "users": {"ada", "bo", "cy", "di"},
        "agents": {"di", "eve"},
        "board": {"ada", "bo", "fay"},
        "lab": {"cy", "fay"},
    }
    roles = {"10": {"@lab", "di"}, "11": {"bo"}}
    own = [("reporter", ""), ("projectRole", "10")]
    for number, (key, grants) in enumerate(
        {"OPS": [("applicationRole", "")], "LAB": own, "PUB": [("anyone", "")]}.items(), 1
    ):
        server.projects[key] = Project(number * 10, list(grants), {k: set(v) for k, v in roles.items()})
        for each in range(7):
            issue = Issue(number * 100 + each, key, reporter=PEOPLE[each % 6])
            issue.assignee = PEOPLE[(each * 3 + 1) % 6] if each % 2 else ""
            if each % 3 == 0:
                issue.files[f"log {each}%.txt"] = f"File of {issue.id}".encode()
            server.issues[issue.id] = issue
    if server.is_cloud:
        server.levels = {
            "501": [("group", "board"), ("assignee", "")],
            "502": [("projectRole", "11"), ("reporter", "")],
        }
        server.issues[101].level, server.issues[103].level, server.issues[300].level = "501", "502", "501"


_KINDS = ("reporter", "assignee", "user", "group", "projectLead", "projectRole", "applicationRole", "anyone")


def draw_grants(server: JiraServer, dice: random.Random) -> list[Grant]:
    """Return up to three grants of any kinds."""
    parameters = {
        "user": PEOPLE,
        "group": tuple(server.groups),
        "projectRole": ROLES,
        "applicationRole": ("", *server.products),
    }
    kinds = dice.sample(_KINDS, dice.randrange(4))
    return [(kind, dice.choice(parameters.get(kind, ("",)))) for kind in kinds]


def change(server: JiraServer, dice: random.Random) -> None:
    """Change a permission scheme, a level, a group, a role, or an issue."""
    issue, project = (
        server.issues[dice.choice(sorted(server.issues))],
        server.projects[dice.choice(sorted(server.projects))],
    )
    match dice.choice(["scheme", "level", "group", "role", "issue", "move", "site"]):
        case "scheme":
            project.grants, project.lead = draw_grants(server, dice), dice.choice(PEOPLE)
        case "level":
            for level in server.levels:
                server.levels[level] = draw_grants(server, dice)
        case "group":
            server.groups[dice.choice(sorted(server.groups))] ^= {dice.choice(PEOPLE)}
        case "role":
            names = [*PEOPLE, *(f"@{name}" for name in server.groups)]
            project.roles[dice.choice(ROLES)] = set(dice.sample(names, dice.randrange(4)))
        case "issue":
            issue.reporter, issue.assignee = dice.choice(PEOPLE), dice.choice([*PEOPLE, ""])
            issue.level = dice.choice(["", *server.levels])
        case "move":
            issue.project = dice.choice(sorted(server.projects))
        case "site":
            server.answers_visitors, server.inactive = dice.random() < 0.7, set(dice.sample(PEOPLE, 1))


def options(server: JiraServer, **given: Any) -> JiraOptions:
    username = ROBOT if server.is_cloud else ""
    found = {"edition": server.edition, "url": server.url, "username": username, "token": TOKEN}
    return JiraOptions.model_validate({**found, **given})
