"""The principal making a request, and the part of the library they may read."""

from dataclasses import dataclass, field
from uuid import UUID

MAX_RECORDED_KNOWLEDGE_BASES = 100
"""Questions about more knowledge bases than this are recorded as asked in all of them."""
EVERY_READER = "kb"
"""Access token of an unrestricted document: everyone who may read the knowledge base may read it."""


def user_token(user: UUID) -> str:
    return f"user:{user}"


def group_token(group: UUID) -> str:
    return f"group:{group}"


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, or an API key acting for one. Group membership is read per request, never cached.

    `key_scopes` is None for a signed-in user, who may do everything the account may. `key_bases` are the only
    knowledge bases that the key may access; None means all of its user's. `viewer` is an admin who views
    Cairn as this user: it may read what the user may read, except their conversations, and change nothing.
    `command` marks a management command, which names knowledge bases by slug and so changes official ones
    only.
    """

    user: UUID
    username: str
    is_admin: bool
    groups: frozenset[UUID] = frozenset()
    key: UUID | None = None
    key_scopes: frozenset[str] | None = None
    key_bases: frozenset[UUID] | None = None
    viewer: UUID | None = None
    command: bool = False
    display_name: str = ""

    @property
    def actor(self) -> UUID:
        """The user who is responsible for the action."""
        return self.viewer or self.user

    @property
    def administers(self) -> bool:
        """Return whether the principal administers people and the installation. A key limited to some
        knowledge bases never does."""
        return self.is_admin and self.key_bases is None

    @property
    def acts_as_admin(self) -> bool:
        """Return whether the principal may do what only admins may. An admin's key needs the scope
        `admin`."""
        return self.administers and (self.key_scopes is None or "admin" in self.key_scopes)

    @property
    def tokens(self) -> frozenset[str]:
        return frozenset({EVERY_READER, user_token(self.user), *map(group_token, self.groups)})


@dataclass(frozen=True, slots=True)
class Scope:
    """What one principal may read now. Only `cairn.access.selectors` creates one.

    A point is in scope when its knowledge base is in `readable` and one of its readers is in `tokens`, or
    when its knowledge base is in `managed` (managers also see restricted documents). `managed` is a subset of
    `readable`. The index filters by this; SQL makes the final decision. `whole` means that no knowledge base
    was named, so the rules alone decide; with `official_only`, only official knowledge bases count.
    `attached`, a subset of `readable`, holds the files of the principal's conversations.
    """

    principal: Principal
    readable: frozenset[UUID] = frozenset()
    managed: frozenset[UUID] = frozenset()
    tokens: frozenset[str] = field(default=frozenset())
    whole: bool = False
    official_only: bool = False
    attached: frozenset[UUID] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.readable)

    @property
    def confined_to(self) -> frozenset[UUID] | None:
        """The only knowledge bases that a question in this scope can be about, None if there are too many to
        record.

        If nothing is readable, these are the knowledge bases that the key is limited to.
        """
        bases = self.readable or self.principal.key_bases
        unlimited = self.whole and self.principal.key_bases is None
        return None if not bases or (unlimited and len(bases) > MAX_RECORDED_KNOWLEDGE_BASES) else bases
