"""Who asks, and what part of the library they may read."""

from dataclasses import dataclass, field
from uuid import UUID

MOST_NAMED = 100
"""Of so many knowledge bases it is recorded that a question was asked in them."""
EVERY_READER = "kb"
"""Access token of a document that is not narrowed: whoever may read the knowledge base may read it."""


def user_token(user: UUID) -> str:
    return f"user:{user}"


def group_token(group: UUID) -> str:
    return f"group:{group}"


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, or an API key acting for one. Group membership is as of the question, never cached.

    `key_scopes` is None for a signed-in user: everything the user may do. `key_bases` are the only
    knowledge bases that the key may touch; None: all that its user may. `viewer` is the admin who looks at
    Cairn as this user: it reads what the user may read, but their conversations, and changes nothing.
    `command`: a management command, which names knowledge bases by slug and so changes official ones only.
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

    @property
    def actor(self) -> UUID:
        """Whose doing it is."""
        return self.viewer or self.user

    @property
    def administers(self) -> bool:
        """People and the whole install: a key that is limited to some knowledge bases never does."""
        return self.is_admin and self.key_bases is None

    @property
    def acts_as_admin(self) -> bool:
        """Whether the principal may do what only admins may. A key of an admin needs the scope `admin`."""
        return self.administers and (self.key_scopes is None or "admin" in self.key_scopes)

    @property
    def tokens(self) -> frozenset[str]:
        return frozenset({EVERY_READER, user_token(self.user), *map(group_token, self.groups)})


@dataclass(frozen=True, slots=True)
class Scope:
    """What one principal may read now. Only `access.scope_for` makes one.

    A point is in scope when its knowledge base is in `readable` and one of its readers is in
    `tokens`, or when its knowledge base is in `managed` (managers see narrowed documents too).
    `managed` is a subset of `readable`. The index filters by this; SQL has the last word.
    `whole`: the asker named no knowledge base, so that the rules alone say what lies in it; with
    `official_only`, the rules and whether a knowledge base is official.
    """

    principal: Principal
    readable: frozenset[UUID] = frozenset()
    managed: frozenset[UUID] = frozenset()
    tokens: frozenset[str] = field(default=frozenset())
    whole: bool = False
    official_only: bool = False

    def __bool__(self) -> bool:
        return bool(self.readable)

    @property
    def confined_to(self) -> frozenset[UUID] | None:
        """The only knowledge bases that a question asked here can be about. None if that cannot be said.

        Where nothing may be read (any more), these are the ones that the key is limited to.
        """
        bases = self.readable or self.principal.key_bases
        unlimited = self.whole and self.principal.key_bases is None
        return None if not bases or (unlimited and len(bases) > MOST_NAMED) else bases
