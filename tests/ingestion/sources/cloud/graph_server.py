"""A model of Microsoft 365: Entra, Graph and SharePoint, with its own idea of who finds what."""

import datetime
import functools
import random
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.sharepoint.options import SharepointOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, Routes, require, slice_page

PEOPLE = ("ada", "bo", "cy", "di", "eve", "guest")
TENANT, CLIENT, SECRET = "example.org", "app-id", "secret of the app"
_LINKS = ("anonymous", "organization", "users", "existingAccess")


@functools.cache
def make_certificate() -> tuple[str, x509.Certificate]:
    """Return a key with a certificate as PEM, and the certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Cairn")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2036))
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (pem + certificate.public_bytes(serialization.Encoding.PEM)).decode(), certificate


@dataclass
class Grant:
    """A permission. `who`: names of people, of groups with "@", of groups of the site with "#", or "*"."""

    who: list[str]
    roles: list[str] = field(default_factory=lambda: ["read"])
    link: str = ""
    is_expired: bool = False


@dataclass
class Entry:
    """A file, or a folder if `content` is None. `grants`: its own; it has those of its folder if None."""

    id: str
    name: str
    parent: str | None
    content: bytes | None = None
    grants: list[Grant] | None = None
    links: list[Grant] = field(default_factory=list)
    version: int = 1


class GraphServer(ApiServer):
    """Three drives: two libraries of the site "HR", and the OneDrive of ada.

    `oldest`: the first change that is still known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.oldest, self.is_valid = 4, 0, True
        self.groups: dict[str, set[str]] = {}
        self.site_groups: dict[str, set[str]] = {}
        self.disabled: set[str] = set()
        self.drives: dict[str, dict[str, Entry]] = {"lib1": {}, "lib2": {}, "one": {}}
        self.changes: list[tuple[str, str]] = []
        self.deleted: dict[tuple[str, str], bool] = {}
        self.download_headers: list[dict[str, str]] = []
        graph, drive = "/graph/v1.0", "/graph/v1.0/drives/<drive>"
        routes: Routes = (
            (f"{graph}/sites/<site>", self._find_site),
            (f"{graph}/sites/<path:site>", self._find_site),
            (f"{graph}/sites/site-id/drives", self._list_drives),
            (f"{graph}/sites/getAllSites", self._list_sites),
            (f"{graph}/users/<user>/drive", lambda _request, user: self._drive("one")),
            (f"{graph}/users", self._list_users),
            (f"{graph}/groups", self._list_groups),
            (f"{graph}/groups/<group>/transitiveMembers", self._list_members),
            (f"{drive}/root/delta", self._list_changes),
            (f"{drive}/items/<item>/permissions", self._list_permissions),
            (f"{drive}/items/<item>/content", self._redirect),
            ("/download/<drive>/<item>", self._download),
            ("/sites/HR/_api/web/sitegroups", self._list_site_groups),
            ("/sites/HR/_api/web/sitegroups/getbyid(<int:group>)/users", self._list_site_users),
        )
        for path, act in routes:
            self.route(path, act)
        self.route(f"/login/{TENANT}/oauth2/v2.0/token", self._give_token, ("POST",))

    def authorize(self, request: Request) -> None:
        if request.path.startswith("/download/"):
            self.download_headers.append(dict(request.headers))
            return
        if request.path.startswith("/login/"):
            return
        kind = "graph" if request.path.startswith("/graph/") else "site"
        require(self.is_valid and request.headers.get("Authorization") == f"Bearer token-{kind}", 401)

    # what the model itself knows

    def shows(self, person: str, drive: str, entry: Entry) -> bool:
        """Return whether a person finds a file without having been given a link that is for everybody."""
        return any(self._covers(grant, person) for _level, grant in self._list_grants(drive, entry))

    def list_shown(self, person: str) -> set[str]:
        return {
            f"{drive}:{entry.id}"
            for drive, entries in self.drives.items()
            for entry in entries.values()
            if entry.content is not None and person not in self.disabled and self.shows(person, drive, entry)
        }

    def list_files(self) -> set[str]:
        return {
            f"{drive}:{e.id}"
            for drive, es in self.drives.items()
            for e in es.values()
            if e.content is not None
        }

    def _list_grants(self, drive: str, entry: Entry) -> list[tuple[Entry, Grant]]:
        found = [(entry, grant) for grant in entry.links]
        while entry.grants is None:
            entry = self.drives[drive][entry.parent or "root"]
            found += [(entry, grant) for grant in entry.links]
        return found + [(entry, grant) for grant in entry.grants]

    def _covers(self, grant: Grant, person: str) -> bool:
        if grant.is_expired or grant.link not in {"", "users"} or not {"read", "write"} & set(grant.roles):
            return False
        return any(self._is_in(person, name) for name in grant.who)

    def _is_in(self, person: str, name: str) -> bool:
        if name == "*":
            return person != "guest"
        if name[0] == "#":
            return any(self._is_in(person, each) for each in self.site_groups[name[1:]])
        return person in self.expand(name[1:]) if name[0] == "@" else person == name

    def expand(self, group: str) -> set[str]:
        """Return the people in a group and in groups in it, which may contain each other."""
        seen, waiting, people = set[str](), [group], set[str]()
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += [name[1:] for name in self.groups[current] if name[0] == "@"]
                people |= {name for name in self.groups[current] if name[0] != "@"}
        return people

    # changes

    def put(self, drive: str, entry: Entry) -> None:
        self.drives[drive][entry.id] = entry
        self.changes.append((drive, entry.id))

    def delete(self, drive: str, item: str) -> None:
        """Delete a file or a folder. Changes name a folder only, not what was in it."""
        entries = self.drives[drive]
        self.deleted[drive, item] = entries[item].content is not None
        del entries[item]
        for each in [entry.id for entry in entries.values() if entry.parent == item]:
            del entries[each]
        self.changes.append((drive, item))

    # answers

    def _give_token(self, request: Request) -> Any:
        form, origin = request.form, self.origin
        if not self.is_valid or form["client_id"] != CLIENT:
            refusal = b'{"error": "invalid_client", "error_description": "AADSTS7000222: expired"}'
            return Response(refusal, 401 if form["client_id"] == CLIENT else 400)
        kind = {f"{origin}graph/.default": "graph", f"{origin}.default": "site"}[form["scope"]]
        if "client_assertion" in form:
            certificate = make_certificate()[1]
            public = certificate.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            claims = jwt.decode(form["client_assertion"], public, ["PS256"], audience=request.base_url)
            require(claims["iss"] == claims["sub"] == CLIENT, 401)
            require(jwt.get_unverified_header(form["client_assertion"])["x5t#S256"], 401)
        else:
            require(form["client_secret"] == SECRET, 400)
            kind = "graph" if kind == "graph" else "refused"
        return {"token_type": "Bearer", "expires_in": 3599, "access_token": f"token-{kind}"}

    def _page_of(self, request: Request, rows: list[Any]) -> dict[str, Any]:
        found, following = slice_page(rows, int(request.args.get("$skiptoken", 0)), self.limit)
        link = {"@odata.nextLink": f"{request.base_url}?$skiptoken={following}"} if following else {}
        return {"value": found, **link}

    def _site(self) -> dict[str, str]:
        return {"id": "site-id", "displayName": "HR", "webUrl": f"{self.origin}sites/HR"}

    def _find_site(self, _request: Request, site: str) -> Any:
        require(site == "127.0.0.1:/sites/HR")
        return self._site()

    def _list_sites(self, request: Request) -> Any:
        return self._page_of(request, [self._site()])

    def _drive(self, drive: str) -> dict[str, str]:
        return {"id": drive, "name": drive, "webUrl": f"https://example.sharepoint.com/sites/HR/{drive}"}

    def _list_drives(self, request: Request) -> Any:
        return self._page_of(request, [self._drive(name) for name in self.drives if name != "one"])

    def _list_users(self, request: Request) -> Any:
        return self._page_of(request, [self._user(name) for name in PEOPLE])

    def _user(self, name: str) -> dict[str, Any]:
        return {
            "id": f"id-{name}",
            "displayName": name.title(),
            "mail": email_of(name),
            "userPrincipalName": f"{name.title()}@example.org",
            "accountEnabled": name not in self.disabled,
            "userType": "Guest" if name == "guest" else "Member",
        }

    def _list_groups(self, request: Request) -> Any:
        rows = [{"id": group_id(name), "displayName": name} for name in self.groups]
        return self._page_of(request, rows)

    def _list_members(self, request: Request, group: str) -> Any:
        name = next(name for name in self.groups if group_id(name) == group)
        rows = [
            {"@odata.type": "#microsoft.graph.user", "id": f"id-{each}"} for each in sorted(self.expand(name))
        ]
        nested = [{"@odata.type": "#microsoft.graph.group", "id": "id-ada"}]
        return self._page_of(request, [*rows, *nested])

    def _list_changes(self, request: Request, drive: str) -> Any:
        require(drive in self.drives)
        since = request.args.get("token")
        if since and int(since) < self.oldest:
            return Response('{"error": {"code": "resyncRequired", "message": "resync"}}', 410)
        if since:
            changed = [item for where, item in self.changes[int(since) :] if where == drive]
            rows = [self._item(drive, item) for item in dict.fromkeys(reversed(changed))]
        else:
            rows = [self._item(drive, item) for item in self.drives[drive]]
        start = int(request.args.get("$skiptoken", 0))
        found, following = slice_page([row for row in rows if row], start, self.limit)
        args = {"token": since or "", "$skiptoken": str(following)}
        if following:
            return {"value": found, "@odata.nextLink": f"{request.base_url}?{urllib.parse.urlencode(args)}"}
        return {"value": found, "@odata.deltaLink": f"{request.base_url}?token={len(self.changes)}"}

    def _item(self, drive: str, item: str) -> dict[str, Any] | None:
        entry = self.drives[drive].get(item)
        if entry is None:
            if (drive, item) not in self.deleted:
                return None
            facet: dict[str, Any] = {"file": {}} if self.deleted[drive, item] else {}
            return {"id": item, "deleted": {"state": "deleted"}, **facet}
        parent = self.drives[drive].get(entry.parent or "")
        path = f"/drives/{drive}/root:" + (
            f"/{urllib.parse.quote(parent.name)}" if parent and parent.parent else ""
        )
        found = {
            "id": item,
            "name": entry.name,
            "webUrl": f"https://example.sharepoint.com/sites/HR/{drive}/{item}",
            "cTag": f"c:{entry.version}",
            "lastModifiedDateTime": "2026-11-01T10:00:00Z",
            "parentReference": {"driveId": drive, "path": path},
        }
        if entry.content is None:
            return {**found, "folder": {"childCount": 1}}
        return {**found, "file": {"mimeType": "text/plain"}, "size": len(entry.content)}

    def _list_permissions(self, request: Request, drive: str, item: str) -> Any:
        require(drive in self.drives and item in self.drives[drive])
        entry = self.drives[drive][item]
        return self._page_of(
            request,
            [
                {**self._grant(grant), **({} if level is entry else {"inheritedFrom": {"id": level.id}})}
                for level, grant in self._list_grants(drive, entry)
            ],
        )

    def _grant(self, grant: Grant) -> dict[str, Any]:
        found: dict[str, Any] = {"id": "p", "roles": grant.roles}
        if grant.is_expired:
            found["expirationDateTime"] = "2026-01-01T00:00:00Z"
        identities = [self._identity(name) for name in grant.who]
        if grant.link:
            link = {"scope": grant.link, "type": "view"}
            return {**found, "link": link, "grantedToIdentitiesV2": identities}
        return {**found, "grantedToV2": identities[0]}

    def _identity(self, name: str) -> dict[str, Any]:
        if name == "*":
            login = "c:0-.f|rolemanager|spo-grid-all-users/12345678"
            return {"siteUser": {"id": "9", "displayName": "Everyone", "loginName": login}}
        if name[0] == "#":
            number = str(sorted(self.site_groups).index(name[1:]))
            return {"siteGroup": {"id": number, "displayName": name[1:], "loginName": name[1:]}}
        kind = "group" if name[0] == "@" else "user"
        identity = group_id(name[1:]) if kind == "group" else f"id-{name}"
        return {kind: {"id": identity, "displayName": name}, "siteUser": {"id": "7", "displayName": name}}

    def _redirect(self, _request: Request, drive: str, item: str) -> Response:
        require(item in self.drives[drive])
        return Response("", 302, {"Location": f"{self.origin}download/{drive}/{item}?tempauth=a%2Bb"})

    def _download(self, request: Request, drive: str, item: str) -> Response:
        require(request.args["tempauth"] == "a+b", 403)
        return Response(self.drives[drive][item].content)

    def _list_site_groups(self, _request: Request) -> Any:
        return {
            "value": [{"Id": number, "Title": name} for number, name in enumerate(sorted(self.site_groups))]
        }

    def _list_site_users(self, _request: Request, group: int) -> Any:
        names = self.site_groups[sorted(self.site_groups)[group]]
        return {"value": [{"Id": 1, "LoginName": _login(name)} for name in sorted(names)]}


def group_id(name: str) -> str:
    return f"{name.encode().hex():0<8.8}-0000-4000-8000-000000000000"


def _login(name: str) -> str:
    if name == "*":
        return "c:0(.s|true"
    if name[0] == "@":
        return f"c:0t.c|tenant|{group_id(name[1:])}"
    return f"i:0#.f|membership|{name}@example.org"


def fill(server: GraphServer) -> None:
    """Make groups, one of which contains itself by way of another, and two folders in each drive."""
    server.groups = {
        "board": {"ada", "@inner"},
        "inner": {"bo", "@board"},
        "lab": {"cy", "@inner"},
        "none": set(),
    }
    server.site_groups = {"Members": {"@board", "di"}, "Visitors": {"*"}}
    for drive, first in (("lib1", "#Members"), ("lib2", "@lab"), ("one", "ada")):
        server.put(drive, Entry("root", "root", None, grants=[Grant([first], ["write"])]))
        for folder in ("a", "b"):
            server.put(drive, Entry(folder, f"Folder {folder} ä", "root"))
            for number in range(3):
                entry = Entry(f"{folder}{number}", f"{number}.txt", folder, f"File {folder}{number}".encode())
                server.put(drive, entry)
    server.drives["lib1"]["a"].grants = [Grant(["@lab"]), Grant(["eve"], ["sp.limited access"])]
    server.drives["lib1"]["b1"].links = [
        Grant(["eve", "guest"], link="users"),
        Grant([], link="organization"),
    ]
    server.drives["one"]["a1"].links = [
        Grant(["cy"], link="users", is_expired=True),
        Grant(["di"], link="users"),
    ]


def change(server: GraphServer, dice: random.Random) -> None:
    """Change permissions, groups or files."""
    drive = dice.choice(sorted(server.drives))
    entries = server.drives[drive]
    entry = entries[dice.choice(sorted(entries))]
    names = [*PEOPLE, *(f"@{name}" for name in server.groups), "*"]
    names += [] if drive == "one" else [f"#{name}" for name in server.site_groups]
    kind = dice.choices(
        ["grants", "links", "group", "site", "account", "file", "delete", "move"], [6, 4, 4, 3, 1, 3, 1, 2]
    )[0]
    if kind == "grants" and (entry.parent is None or dice.random() < 0.7):
        roles = [["read"], ["write"], ["sp.limited access"]]
        entry.grants = [
            Grant([dice.choice(names)], dice.choice(roles)) for _each in range(dice.randrange(1, 4))
        ]
    elif kind == "grants":
        entry.grants = None
    elif kind == "links":
        people = dice.sample(names, dice.randrange(3))
        entry.links = [Grant(people, link=dice.choice(_LINKS), is_expired=dice.random() < 0.3)]
    elif kind == "group":
        members = [*PEOPLE, *(f"@{name}" for name in server.groups)]
        server.groups[dice.choice(sorted(server.groups))] ^= {dice.choice(members)}
    elif kind == "site":
        members = [*PEOPLE, *(f"@{name}" for name in server.groups), "*"]
        server.site_groups[dice.choice(sorted(server.site_groups))] ^= {dice.choice(members)}
    elif kind == "account":
        server.disabled ^= {dice.choice(PEOPLE)}
    elif kind == "file":
        number = f"n{len(server.changes)}"
        server.put(drive, Entry(number, f"{number}.txt", "root", b"New"))
    elif entry.id != "root" and kind == "delete":
        server.delete(drive, entry.id)
    elif entry.content is not None and "b" in entries:
        entry.parent, entry.name = "b", f"moved {entry.name}"
        server.put(drive, entry)


def options(server: GraphServer, **given: Any) -> SharepointOptions:
    found = {
        "tenant": TENANT,
        "client_id": CLIENT,
        "certificate": make_certificate()[0],
        "sites": ["http://127.0.0.1/sites/HR"],
        "users": ["ada@example.org"],
        "url": f"{server.origin}graph/",
        "login_url": f"{server.origin}login/",
    }
    return SharepointOptions.model_validate({**found, **given})
