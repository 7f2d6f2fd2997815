"""The guard of a route, the kinds of actors, and the expected response."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cairn.access.models import Role

LOGIN = "login"
"""Sent to the sign-in page."""
LET_IN = "let in"
Answer = int | str
SAFE = {"GET", "HEAD", "OPTIONS"}


class Door(Enum):
    """How a route authenticates. PUBLIC: not at all. KEY: by API keys only."""

    PUBLIC = "public"
    API = "api"
    PAGE = "page"
    FRAGMENT = "fragment"
    KEY = "key"


class Guard(Enum):
    """READER, EDITOR and MANAGER are roles in the knowledge base that the path names, or that what it names
    lies in: who has none there gets 404, who has a lower one 403. `EDITOR_OR_404` and `MANAGER_OR_404`: who
    has a lower one does not learn that it is there. `EDITS_SOMETHING`, `MANAGES_SOMETHING`: whatever it is.
    OWNER: whose it is, and not even admins. REQUESTER: whose it is, and admins. UNLIMITED: everyone but keys
    that are limited to some knowledge bases. CREATOR: may create knowledge bases; MANAGES_OR_CREATES: one of
    the two. THEMSELVES: signed in, not seen through by an admin, and not
    through a key that is limited."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    THEMSELVES = "themselves"
    UNLIMITED = "unlimited"
    READER = "reader"
    EDITOR = "editor"
    MANAGER = "manager"
    EDITOR_OR_404 = "editor or 404"
    MANAGER_OR_404 = "manager or 404"
    EDITS_SOMETHING = "edits something"
    MANAGES_SOMETHING = "manages something"
    CREATOR = "creator"
    MANAGES_OR_CREATES = "manages something or may create"
    OWNER = "owner"
    REQUESTER = "requester"
    ADMIN = "admin"


_ROLES = {
    Guard.READER: (Role.READER, 403),
    Guard.EDITOR: (Role.EDITOR, 403),
    Guard.MANAGER: (Role.MANAGER, 403),
    Guard.EDITOR_OR_404: (Role.EDITOR, 404),
    Guard.MANAGER_OR_404: (Role.MANAGER, 404),
}
_SOMEWHERE = {Guard.EDITS_SOMETHING: Role.EDITOR, Guard.MANAGES_SOMETHING: Role.MANAGER}


@dataclass(frozen=True, slots=True)
class Route:
    """`scopes`: a key needs one of them; none: any key. `reads`: it changes nothing although it is no GET.
    `lets_in`: the status for who gets past the guard, where it is no success, such as 409 for a thing in a
    state that does not fit. `body` is sent as JSON, `form` as a form; "{name}" in them and in `query` stands
    for the id of a thing, as in the path."""

    method: str
    path: str
    door: Door
    guard: Guard
    scopes: Sequence[str] = ()
    reads: bool = False
    lets_in: int | None = None
    body: Any = None
    form: dict[str, Any] | None = None
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def changes(self) -> bool:
        return self.method not in SAFE and not self.reads


@dataclass(frozen=True, slots=True)
class Actor:
    """`role` is that in the knowledge base that things lie in; `owns`: things that belong to one person are
    theirs. `key`: comes with an API key, with `scopes`, and `limited` to another knowledge base. `known` is
    false for those who are nobody: not signed in, disabled, with a key that has ended.
    `creates`: an ordinary person who may create knowledge bases."""

    name: str
    known: bool = True
    role: Role | None = None
    is_admin: bool = False
    owns: bool = False
    key: bool = False
    scopes: frozenset[str] = frozenset()
    limited: bool = False
    creates: bool = False
    viewing: bool = False

    def __str__(self) -> str:
        return self.name


def expected(route: Route, actor: Actor) -> Answer:
    if route.door is Door.PUBLIC:
        return LET_IN
    if not _told_apart(route, actor):
        return LOGIN if route.door is Door.PAGE else 401
    if actor.viewing and (route.changes or route.guard is Guard.THEMSELVES):
        return 403
    scopes = ("admin",) if route.guard is Guard.ADMIN else route.scopes
    if actor.key and scopes and actor.scopes.isdisjoint(scopes):
        return 403
    return _behind_the_door(route.guard, actor)


def _told_apart(route: Route, actor: Actor) -> bool:
    takes = {Door.PAGE: not actor.key, Door.FRAGMENT: not actor.key, Door.KEY: actor.key}
    return actor.known and takes.get(route.door, True)


def _behind_the_door(guard: Guard, actor: Actor) -> Answer:
    role = None if actor.limited else actor.role
    if guard in _ROLES:
        wanted, too_low = _ROLES[guard]
        if role is None:
            return 404
        return LET_IN if role.allows(wanted) else too_low
    if guard in _SOMEWHERE:
        return LET_IN if role and role.allows(_SOMEWHERE[guard]) else 403
    admin = actor.is_admin and not actor.limited
    creates = admin or (actor.creates and not actor.limited)
    passes = {
        Guard.ADMIN: (admin, 403),
        Guard.CREATOR: (creates, 403),
        Guard.MANAGES_OR_CREATES: (creates or role is Role.MANAGER, 403),
        Guard.UNLIMITED: (not actor.limited, 403),
        Guard.THEMSELVES: (not actor.limited, 403),
        Guard.OWNER: (actor.owns, 404),
        Guard.REQUESTER: (actor.owns or admin, 404),
    }
    let_in, otherwise = passes.get(guard, (True, 403))
    return LET_IN if let_in else otherwise
