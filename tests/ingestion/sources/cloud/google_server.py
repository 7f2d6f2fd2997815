"""A model of a Google Workspace: Drive, the directory, the sign-in, and who finds what."""

import functools
import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.google_drive.answers import EXPORTS, FOLDER, SHORTCUT
from ingestion.sources.kinds.google_drive.connection import SCOPES
from ingestion.sources.kinds.google_drive.options import GoogleDriveOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, Routes, require, slice_page

PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay")
ACCOUNT, ROBOT = "admin@example.org", "robot@project.example.org"
TEXT, DOCUMENT = "text/plain", "application/vnd.google-apps.document"


@functools.cache
def make_key() -> tuple[str, str]:
    """Return the JSON file of a service account, and the public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    content = {"client_email": ROBOT, "private_key": pem.decode(), "token_uri": "https://elsewhere.example/"}
    return json.dumps(content), public.decode()


@dataclass
class Grant:
    """A permission for a person, a group with "@", a "domain", "anyone", or an address outside."""

    who: str
    role: str = "reader"
    is_discoverable: bool = True
    is_expired: bool = False


@dataclass
class Entry:
    """A file, folder or shortcut. `is_limited`: it doesn't have the permissions of its folder."""

    id: str
    name: str
    parent: str
    type: str = TEXT
    content: bytes = b""
    grants: list[Grant] = field(default_factory=list)
    is_limited: bool = False
    trashed: bool = False
    version: int = 1


class GoogleServer(ApiServer):
    """Two shared drives. `oldest`: the first change that is still known."""

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.oldest, self.is_valid, self.is_incomplete = 4, 0, True, False
        self.groups: dict[str, set[str]] = {}
        self.suspended: set[str] = set()
        self.drives: dict[str, list[Grant]] = {}
        self.entries: dict[str, Entry] = {}
        self.changes: list[tuple[str, str]] = []
        drive, directory = "/drive/v3", "/admin/directory/v1"
        routes: Routes = (
            (f"{drive}/drives", self._list_drives),
            (f"{drive}/files", self._list_files),
            (f"{drive}/files/<file>", self._read_file),
            (f"{drive}/files/<file>/export", self._export),
            (f"{drive}/files/<file>/permissions", self._list_permissions),
            (f"{drive}/changes/startPageToken", self._start),
            (f"{drive}/changes", self._list_changes),
            (f"{directory}/users", self._list_users),
            (f"{directory}/groups", self._list_groups),
            (f"{directory}/groups/<group>/members", self._list_members),
        )
        for path, act in routes:
            self.route(path, act)
        self.route("/token", self._give_token, ("POST",))

    def authorize(self, request: Request) -> None:
        granted = self.is_valid and request.headers.get("Authorization") == "Bearer token-of-drive"
        require(granted or request.path == "/token", 401)

    # what the model itself knows

    def list_files(self) -> set[str]:
        """Return the files that are neither in the trash nor in a folder that is."""
        return {each.id for each in self.entries.values() if self._is_there(each) and is_content(each)}

    def list_shown(self, person: str) -> set[str]:
        """Return what a person finds without having been given a link."""
        if person in self.suspended:
            return set()
        return {
            file
            for file in self.list_files()
            if any(self._covers(grant, person) for grant in self._list_grants(self.entries[file]))
        }

    def drive_of(self, entry: Entry) -> str:
        while entry.parent in self.entries:
            entry = self.entries[entry.parent]
        return entry.parent

    def _is_there(self, entry: Entry) -> bool:
        parent = self.entries.get(entry.parent)
        return not entry.trashed and (parent is None or self._is_there(parent))

    def _list_grants(self, entry: Entry) -> list[Grant]:
        if entry.is_limited:
            return entry.grants
        parent = self.entries.get(entry.parent)
        return entry.grants + (self._list_grants(parent) if parent else self.drives[entry.parent])

    def _covers(self, grant: Grant, person: str) -> bool:
        if grant.is_expired:
            return False
        if grant.who in {"domain", "anyone"}:
            return grant.is_discoverable
        return person in self.expand(grant.who[1:]) if grant.who[0] == "@" else person == grant.who

    def expand(self, group: str) -> set[str]:
        """Return the people in a group and in groups in it, which may contain each other."""
        seen, waiting, people = set[str](), [group], set[str]()
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += [name[1:] for name in self.groups[current] if name[0] == "@"]
                people |= {name for name in self.groups[current] if name[0] != "@"}
                people |= set(PEOPLE) if "everybody" in self.groups[current] else set()
        return people

    # changes

    def put(self, entry: Entry) -> None:
        self.entries[entry.id] = entry
        self.changes.append((self.drive_of(entry), entry.id))

    def trash(self, file: str) -> None:
        """Put something into the trash. Changes name a folder only, not what is in it."""
        self.entries[file].trashed = True
        self.changes.append((self.drive_of(self.entries[file]), file))

    # answers

    def _give_token(self, request: Request) -> Any:
        claims = jwt.decode(request.form["assertion"], make_key()[1], ["RS256"], audience=request.base_url)
        if not self.is_valid or (claims["iss"], claims["sub"]) != (ROBOT, ACCOUNT):
            refusal = '{"error": "unauthorized_client", "error_description": "Client is unauthorized"}'
            return Response(refusal, 400)
        require(set(SCOPES) == set(claims["scope"].split()), 400)
        return {"access_token": "token-of-drive", "expires_in": 3599, "token_type": "Bearer"}

    def _page_of(self, request: Request, name: str, rows: list[Any]) -> dict[str, Any]:
        found, following = slice_page(rows, int(request.args.get("pageToken") or 0), self.limit)
        return {name: found, **({"nextPageToken": str(following)} if following else {})}

    def _list_drives(self, request: Request) -> Any:
        return self._page_of(request, "drives", [{"id": drive, "name": drive} for drive in self.drives])

    def _list_files(self, request: Request) -> Any:
        query, drive = request.args["q"], request.args.get("driveId")
        require(request.args["includeItemsFromAllDrives"] == "true" and "trashed = false" in query, 400)
        found = [each for each in self.entries.values() if self._is_there(each)]
        if drive:
            require(drive in self.drives)
            found = [each for each in found if self.drive_of(each) == drive]
        else:
            parent = re.match(r"'([^']+)' in parents", query)
            require(parent and parent[1] in self.entries)
            found = [each for each in found if parent and each.parent == parent[1]]
        answer = self._page_of(request, "files", [self._file(each) for each in found])
        return {**answer, "incompleteSearch": self.is_incomplete}

    def _file(self, entry: Entry) -> dict[str, Any]:
        found = {
            "id": entry.id,
            "name": entry.name,
            "mimeType": entry.type,
            "modifiedTime": f"2026-11-01T10:00:{entry.version:02}.000Z",
            "parents": [entry.parent],
            "driveId": self.drive_of(entry),
            "trashed": not self._is_there(entry),
            "webViewLink": f"https://drive.example/{entry.id}",
        }
        if entry.type == TEXT:
            found |= {"size": str(len(entry.content)), "md5Checksum": f"checksum {entry.version}"}
        return found

    def _read_file(self, request: Request, file: str) -> Any:
        require(file in self.entries)
        require(request.args.get("alt") == "media" and self.entries[file].type == TEXT, 403)
        return Response(self.entries[file].content)

    def _export(self, request: Request, file: str) -> Response:
        require(request.args["mimeType"] == EXPORTS[self.entries[file].type][0], 400)
        return Response(b"exported " + self.entries[file].content)

    def _list_permissions(self, request: Request, file: str) -> Any:
        require(file in self.entries)
        rows = [_permission(grant) for grant in self._list_grants(self.entries[file])]
        return self._page_of(request, "permissions", rows)

    def _start(self, request: Request) -> Any:
        require(request.args["driveId"] in self.drives)
        return {"startPageToken": f"{len(self.changes)}"}

    def _list_changes(self, request: Request) -> Any:
        start, drive = int(request.args["pageToken"]), request.args["driveId"]
        require(drive in self.drives)
        if start < self.oldest:
            return Response('{"error": {"code": 400, "message": "Invalid page token"}}', 400)
        found, end = [], min(start + self.limit, len(self.changes))
        for where, file in self.changes[start:end]:
            if where == drive:
                entry = self.entries.get(file)
                change = {"file": self._file(entry)} if entry else {"removed": True}
                found.append({"changeType": "file", "fileId": file, **change})
        more = {"nextPageToken": str(end)} if end < len(self.changes) else {"newStartPageToken": str(end)}
        return {"changes": found, **more}

    def _list_users(self, request: Request) -> Any:
        rows = [
            {
                "id": f"1{number}",
                "primaryEmail": email_of(name),
                "aliases": [f"{name}@alias.example"],
                "name": {"fullName": name.title()},
                "suspended": name in self.suspended,
            }
            for number, name in enumerate(PEOPLE)
        ]
        return self._page_of(request, "users", rows)

    def _list_groups(self, request: Request) -> Any:
        rows = [{"id": f"g-{name}", "email": _group_email(name), "name": name} for name in self.groups]
        return self._page_of(request, "groups", rows)

    def _list_members(self, request: Request, group: str) -> Any:
        rows = [_member(name) for name in sorted(self.groups[group.removeprefix("g-")])]
        return self._page_of(request, "members", rows)


def is_content(entry: Entry) -> bool:
    return entry.type in {TEXT, DOCUMENT}


def _group_email(name: str) -> str:
    return f"group-{name}@example.org"


def _member(name: str) -> dict[str, str]:
    if name == "everybody":
        return {"id": "customer", "type": "CUSTOMER"}
    if name[0] == "@":
        return {"id": f"g-{name[1:]}", "type": "GROUP", "email": _group_email(name[1:]), "status": "ACTIVE"}
    return {"id": f"1{PEOPLE.index(name)}", "type": "USER", "email": email_of(name), "status": "ACTIVE"}


def _permission(grant: Grant) -> dict[str, Any]:
    found: dict[str, Any] = {"id": "1", "role": grant.role, "type": "user"}
    if grant.is_expired:
        found["expirationTime"] = "2026-01-01T00:00:00.000Z"
    if grant.who in {"domain", "anyone"}:
        domain = {"domain": "example.org"} if grant.who == "domain" else {}
        return {**found, "type": grant.who, "allowFileDiscovery": grant.is_discoverable, **domain}
    if grant.who[0] == "@":
        return {**found, "type": "group", "emailAddress": _group_email(grant.who[1:]).upper()}
    if grant.who == "outside":
        return {**found, "emailAddress": "outside@other.example"}
    email = f"{grant.who}@alias.example" if grant.who == "bo" else email_of(grant.who)
    return {**found, "emailAddress": email}


def fill(server: GoogleServer) -> None:
    """Make groups, one of which contains itself by way of another, and two folders in each drive."""
    server.groups = {
        "board": {"ada", "@inner"},
        "inner": {"bo", "@board"},
        "lab": {"cy", "@inner"},
        "all": set(),
    }
    server.drives = {"D1": [Grant("@board", "organizer")], "D2": [Grant("@lab"), Grant("di", "writer")]}
    for drive in ("D1", "D2"):
        for folder in ("a", "b"):
            place = f"{drive}{folder}"
            server.put(Entry(place, folder, drive, FOLDER))
            for number in range(3):
                content = f"File {place}{number}".encode()
                server.put(Entry(f"{place}{number}", f"{number}.txt", place, TEXT, content))
        server.put(Entry(f"{drive}doc", "Plan", f"{drive}a", DOCUMENT, b"plan"))
        server.put(Entry(f"{drive}link", "Elsewhere", drive, SHORTCUT))
        server.put(Entry(f"{drive}form", "Form", drive, "application/vnd.google-apps.form"))
    server.entries["D1a"].grants = [Grant("eve"), Grant("outside")]
    server.entries["D1b1"].grants = [Grant("domain"), Grant("anyone", is_discoverable=False)]
    server.entries["D2b"].is_limited = True
    server.entries["D2b"].grants = [Grant("fay"), Grant("cy", is_expired=True)]


def change(server: GoogleServer, dice: random.Random) -> None:
    """Change permissions, groups, accounts or files."""
    entry = server.entries[dice.choice(sorted(server.entries))]
    names = [*PEOPLE, *(f"@{name}" for name in server.groups), "domain", "anyone", "outside"]
    kinds = ["grants", "drive", "limited", "group", "account", "file", "trash", "move"]
    kind = dice.choices(kinds, [8, 2, 2, 4, 1, 3, 2, 2])[0]
    grants = [
        Grant(dice.choice(names), dice.choice(["reader", "writer"]), dice.random() < 0.3, dice.random() < 0.2)
        for _each in range(dice.randrange(3))
    ]
    if kind == "grants":
        entry.grants = grants
    elif kind == "drive":
        server.drives[dice.choice(["D1", "D2"])] = grants
    elif kind == "limited":
        entry.is_limited = not entry.is_limited
    elif kind == "group":
        members = [*PEOPLE, *(f"@{name}" for name in server.groups), "everybody"]
        server.groups[dice.choice(sorted(server.groups))] ^= {dice.choice(members)}
    elif kind == "account":
        server.suspended ^= {dice.choice(PEOPLE)}
    elif kind == "file":
        number = f"n{len(server.changes)}"
        server.put(Entry(number, f"{number}.txt", dice.choice(["D1", "D1b", "D2a"]), TEXT, b"New"))
    elif kind == "trash" and entry.id not in {"D1b", "D2a"}:
        server.trash(entry.id)
    elif kind == "move" and is_content(entry):
        entry.parent, entry.version = f"{server.drive_of(entry)}b", entry.version + 1
        server.put(entry)


def options(server: GoogleServer, **given: Any) -> GoogleDriveOptions:
    addresses = dict.fromkeys(("url", "directory_url", "login_url"), server.origin)
    return GoogleDriveOptions.model_validate({"key": make_key()[0], "account": ACCOUNT, **addresses, **given})
