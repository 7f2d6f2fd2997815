"""A model of Confluence with the interfaces of both editions, and its own idea of who sees what."""

import base64
import hashlib
import random
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.confluence.options import ConfluenceOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, Routes, require, slice_page

PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay")
ROBOT, TOKEN = "robot@example.org", "token of the robot"
DAY = "2026-11-{day:02}T10:00:00.000Z"


@dataclass
class Space:
    """`readers` are names of people, and of groups with a leading "@"."""

    id: int
    name: str
    readers: set[str] = field(default_factory=set)
    is_open: bool = False
    odd: str = ""


@dataclass
class Page:
    """`restricted`: as `readers` of a space; everybody if empty. `files` are contents by name."""

    id: int
    space: str
    title: str
    parent: int | None = None
    text: str = "<p>Text</p>"
    version: int = 1
    day: int = 1
    restricted: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)


class ConfluenceServer(ApiServer):
    """`limit`: the most rows of an answer."""

    def __init__(self, edition: str) -> None:
        super().__init__()
        self.edition, self.limit, self.is_valid = edition, 3, True
        self.spaces: dict[str, Space] = {}
        self.pages: dict[int, Page] = {}
        self.groups: dict[str, set[str]] = {}
        self.storage_requests: list[dict[str, str]] = []
        self.prefix = "/wiki" if edition == "cloud" else ""
        self._add_routes()

    @property
    def url(self) -> str:
        return f"{self.origin.rstrip('/')}{self.prefix}/"

    def _add_routes(self) -> None:
        old, new = f"{self.prefix}/rest/api", f"{self.prefix}/api/v2"
        common: Routes = (
            (f"{old}/user/current", lambda _request: self._person("robot")),
            (f"{old}/group", self._list_groups),
            (f"{old}/content/<int:page>/restriction/byOperation/read", self._read_restriction),
            (f"{old}/content/search", self._search),
            (f"{old}/space/<key>", self._read_space),
        )
        cloud: Routes = (
            (f"{old}/group/<group>/membersByGroupId", self._list_members),
            (f"{old}/content/<int:page>/child/attachment/<file>/download", self._redirect_download),
            (f"{new}/spaces", self._list_spaces),
            (f"{new}/spaces/<int:space>", self._read_space_by_id),
            (f"{new}/spaces/<int:space>/pages", self._list_pages),
            (f"{new}/spaces/<int:space>/permissions", self._list_permissions),
            (f"{new}/pages/<int:page>", self._read_page),
            (f"{new}/pages/<int:page>/ancestors", self._list_ancestors),
            (f"{new}/pages/<int:page>/attachments", self._list_files),
            ("/storage/<file>", self._download),
        )
        center: Routes = (
            (f"{old}/group/<group>/member", self._list_members),
            (f"{old}/space", self._list_spaces),
            (f"{old}/space/<key>/content/page", self._list_pages_of),
            (f"{old}/space/<key>/permissions", self._list_all_permissions),
            (f"{old}/content/<int:page>", self._read_page),
            (f"{old}/content/<int:page>/child/attachment", self._list_files),
            ("/download/attachments/<int:page>/<file>", self._download),
        )
        for path, act in (*common, *(cloud if self.edition == "cloud" else center)):
            self.route(path, act)

    def authorize(self, request: Request) -> None:
        if request.path.startswith("/storage/"):
            self.storage_requests.append(dict(request.headers))
            return
        key = request.path.rpartition("/")[2]
        if key in self.spaces and self.spaces[key].is_open and "/content" not in request.path:
            return
        basic = base64.b64encode(f"{ROBOT}:{TOKEN}".encode()).decode()
        expected = f"Basic {basic}" if self.edition == "cloud" else f"Bearer {TOKEN}"
        require(self.is_valid and request.headers.get("Authorization") == expected, 401)

    # what the model itself knows

    def shows(self, person: str, page: Page) -> bool:
        """Return whether Confluence shows a page to a person."""
        space = self.spaces[page.space]
        if not space.is_open and not self._is_one_of(person, space.readers):
            return False
        current: Page | None = page
        while current:
            if current.restricted and not self._is_one_of(person, current.restricted):
                return False
            current = self.pages.get(current.parent) if current.parent else None
        return True

    def list_shown(self, person: str) -> set[str]:
        found = set()
        for page in self.pages.values():
            if self.shows(person, page):
                found |= {f"page:{page.id}"} | {
                    f"file:{_number(page, name)}:{page.id}" for name in page.files
                }
        return found

    def _is_one_of(self, person: str, names: set[str]) -> bool:
        groups = {f"@{name}" for name, members in self.groups.items() if person in members}
        return bool(names & {person, *groups})

    # answers

    def _page_of(self, request: Request, rows: list[Any], **more: Any) -> dict[str, Any]:
        name = "cursor" if "/api/v2/" in request.path else "start"
        start = int(request.args.get(name, 0))
        limit = min(int(request.args.get("limit", 25)), self.limit)
        found, following = slice_page(rows, start, limit)
        links: dict[str, str] = {"base": self.url.rstrip("/")}
        if following is not None:
            args = {**request.args.to_dict(), name: str(following), "limit": str(limit)}
            links["next"] = f"{request.path}?{urlencode(args)}"
        return {"results": found, "start": start, "limit": limit, "size": len(found), "_links": links, **more}

    def _person(self, name: str) -> dict[str, Any]:
        if self.edition == "cloud":
            found = {"accountId": f"id-of-{name}", "accountType": "atlassian", "email": email_of(name)}
        else:
            found = {"username": name, "userKey": f"id-of-{name}"}
        return {"type": "known", "displayName": name.title(), **found}

    def _group(self, name: str) -> dict[str, str]:
        found = {"type": "group", "name": name}
        return {**found, "id": f"group-{name}"} if self.edition == "cloud" else found

    def _list_groups(self, request: Request) -> Any:
        return self._page_of(request, [self._group(name) for name in sorted(self.groups)])

    def _list_members(self, request: Request, group: str) -> Any:
        members = self.groups.get(group.removeprefix("group-"))
        require(members is not None)
        return self._page_of(request, [self._person(name) for name in sorted(members or ())])

    def _list_spaces(self, request: Request) -> Any:
        return self._page_of(request, [self._space(key) for key in sorted(self.spaces)])

    def _space(self, key: str) -> dict[str, Any]:
        space = self.spaces[key]
        number = str(space.id) if self.edition == "cloud" else space.id
        return {"id": number, "key": key, "name": space.name, "type": "global", "status": "current"}

    def _read_space(self, _request: Request, key: str) -> Any:
        require(key in self.spaces)
        return self._space(key)

    def _read_space_by_id(self, _request: Request, space: int) -> Any:
        return self._space(self._key_of(space))

    def _key_of(self, number: int) -> str:
        found = [key for key, space in self.spaces.items() if space.id == number]
        require(found)
        return found[0]

    def _list_pages(self, request: Request, space: int) -> Any:
        return self._list_pages_of(request, self._key_of(space))

    def _list_pages_of(self, request: Request, key: str) -> Any:
        require(key in self.spaces)
        pages = [self._page(page) for number, page in sorted(self.pages.items()) if page.space == key]
        return self._page_of(request, pages)

    def _page(self, page: Page, *, text: bool = False) -> dict[str, Any]:
        found = {"id": str(page.id), "status": "current", "title": page.title}
        body = {"storage": {"value": page.text, "representation": "storage"}} if text else {}
        if self.edition == "cloud":
            version = {"number": page.version, "createdAt": DAY.format(day=page.day)}
            space = {"spaceId": str(self.spaces[page.space].id), "parentId": page.parent and str(page.parent)}
            return {**found, **space, "version": version, "body": body}
        version = {"number": page.version, "when": DAY.format(day=page.day)}
        above = [self._page(each) for each in self._find_above(page)] if text else []
        more = {"space": self._space(page.space), "ancestors": above, "body": body}
        return {**found, "type": "page", "version": version, **more}

    def _find_above(self, page: Page) -> list[Page]:
        found: list[Page] = []
        while page.parent:
            page = self.pages[page.parent]
            found.insert(0, page)
        return found

    def _read_page(self, _request: Request, page: int) -> Any:
        require(page in self.pages)
        return self._page(self.pages[page], text=True)

    def _list_ancestors(self, request: Request, page: int) -> Any:
        require(page in self.pages)
        rows = [{"id": str(each.id), "type": "page"} for each in self._find_above(self.pages[page])]
        return {"results": rows[: int(request.args["limit"])], "_links": {}}

    def _file(self, page: Page, name: str) -> dict[str, Any]:
        number = _number(page, name)
        found = {
            "id": f"att{number}",
            "title": name,
            "status": "current",
            "version": {"number": page.version},
        }
        if self.edition == "cloud":
            return {**found, "pageId": str(page.id), "fileSize": len(page.files[name])}
        download = f"/download/attachments/{page.id}/{name}?version=1&api=v2"
        size = {"fileSize": len(page.files[name]), "mediaType": "text/plain"}
        return {**found, "type": "attachment", "extensions": size, "_links": {"download": download}}

    def _list_files(self, request: Request, page: int) -> Any:
        require(page in self.pages)
        rows = [self._file(self.pages[page], name) for name in sorted(self.pages[page].files)]
        return self._page_of(request, rows)

    def _redirect_download(self, _request: Request, page: int, file: str) -> Response:
        found = [name for name in self.pages[page].files if f"att{_number(self.pages[page], name)}" == file]
        require(found)
        address = f"{self.origin}storage/{found[0]}?page={page}&signature=a%2Fb"
        return Response("", 302, {"Location": address})

    def _download(self, request: Request, file: str, page: int = 0) -> Response:
        number = page or int(request.args["page"])
        require(page or request.args["signature"] == "a/b", 403)
        return Response(self.pages[number].files[file])

    def _read_restriction(self, request: Request, page: int) -> Any:
        require(page in self.pages)
        names = sorted(self.pages[page].restricted)
        start, limit = int(request.args["start"]), min(int(request.args["limit"]), self.limit)
        people = [self._person(name) for name in names if name[0] != "@"]
        groups = [self._group(name[1:]) for name in names if name[0] == "@"]
        found = {
            kind: {"results": rows[start : start + limit], "start": start, "limit": limit}
            for kind, rows in (("user", people), ("group", groups))
        }
        return {"operation": "read", "restrictions": found}

    def _list_permissions(self, request: Request, space: int) -> Any:
        found = self.spaces[self._key_of(space)]
        rows = [
            {"principal": {"type": kind, "id": identity}, "operation": {"key": key, "targetType": target}}
            for kind, identity in self._subjects(found)
            for key, target in (("read", "space"), ("create", "page"))
        ]
        writer = {"type": "user", "id": "id-of-eve"}
        rows.append({"principal": writer, "operation": {"key": "export", "targetType": "space"}})
        return self._page_of(request, rows)

    def _subjects(self, space: Space) -> list[tuple[str, str]]:
        found = [("group", f"group-{name[1:]}") for name in sorted(space.readers) if name[0] == "@"]
        found += [("user", f"id-of-{name}") for name in sorted(space.readers) if name[0] != "@"]
        return [*found, (space.odd, "12")] if space.odd else found

    def _list_all_permissions(self, _request: Request, key: str) -> Any:
        space = self.spaces[key]
        subjects: list[dict[str, str]] = [
            {"type": "group", "name": name[1:]} if name[0] == "@" else self._person(name) | {"type": "user"}
            for name in sorted(space.readers)
        ]
        subjects.append({"type": "anonymous", "displayName": "Anonymous"})
        if space.odd:
            subjects.append({"type": space.odd, "displayName": "Odd"})
        return [
            {
                "operation": {"targetType": "space", "operationKey": "read"},
                "subject": subject,
                "spaceKey": key,
            }
            for subject in subjects
        ]

    def _search(self, request: Request) -> Any:
        query = request.args["cql"]
        since = re.search(r'lastmodified >= "(\d{4}-\d\d-\d\d)"', query)
        require(since, 400)
        first = since[1] if since else ""
        rows: list[Any] = []
        for page in self.pages.values():
            if DAY.format(day=page.day) < first or (f'"{page.space}"' not in query and "space in" in query):
                continue
            rows.append({**self._page(page), "type": "page", "space": self._space(page.space)})
            container = {"id": str(page.id), "type": "page"}
            for name in page.files if "attachment" in query else ():
                file = {"type": "attachment", "container": container, "space": self._space(page.space)}
                rows.append({**self._file(page, name), **file})
        return self._page_of(request, rows)


def _number(page: Page, name: str) -> int:
    return int(hashlib.sha256(f"{page.id} {name}".encode()).hexdigest()[:10], 16)


def fill(server: ConfluenceServer) -> None:
    """Make three spaces with a tree of pages each, and groups."""
    server.groups = {"staff": set(PEOPLE), "board": {"ada", "bo"}, "lab": {"cy", "di", "eve"}, "empty": set()}
    for number, (key, readers) in enumerate(
        {"HR": {"@staff"}, "LAB": {"@lab", "ada"}, "PUB": set[str]()}.items(), 1
    ):
        server.spaces[key] = Space(number, f"Space {key}", readers, is_open=key == "PUB")
        for each in range(8):
            page = number * 100 + each
            parent = number * 100 + (each - 1) // 2 if each else None
            server.pages[page] = Page(page, key, f"Page {page} & more", parent)
            if each % 3 == 0:
                server.pages[page].files[f"notes {each}.txt"] = f"File of {page}".encode()
    server.pages[101].restricted = {"@board", "cy"}
    server.pages[103].restricted = {"ada", "cy", "di", "eve"}
    server.pages[202].restricted = {"ada"}


def change(server: ConfluenceServer, dice: random.Random) -> None:
    """Change a restriction, a space, a group, or the place of a page."""
    kind = dice.choices(["page", "space", "group", "move"], [6, 2, 3, 2])[0]
    names = [*PEOPLE, *(f"@{name}" for name in server.groups)]
    if kind == "page":
        page = server.pages[dice.choice(sorted(server.pages))]
        page.restricted = set(dice.sample(names, dice.choice([0, 0, 1, 2, 5])))
    elif kind == "space":
        space = server.spaces[dice.choice(sorted(server.spaces))]
        space.readers, space.is_open = set(dice.sample(names, dice.randrange(5))), dice.random() < 0.2
    elif kind == "group":
        server.groups[dice.choice(sorted(server.groups))] ^= {dice.choice(PEOPLE)}
    else:
        page = server.pages[dice.choice(sorted(server.pages))]
        higher = [each.id for each in server.pages.values() if each.id < page.id and each.space == page.space]
        page.parent = dice.choice([None, *higher])


def options(server: ConfluenceServer, **given: Any) -> ConfluenceOptions:
    username = ROBOT if server.edition == "cloud" else ""
    found = {"edition": server.edition, "url": server.url, "username": username, "token": TOKEN}
    return ConfluenceOptions.model_validate({**found, **given})
