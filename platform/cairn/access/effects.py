"""What a change of access would do to whom, before it is made.

The change is made and taken back, so that what is foretold follows from the very rules that would hold.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from cairn.access.models import Role
from cairn.access.people import access_of, people_in, people_reading
from cairn.access.scope import Principal
from cairn.access.services import grants_replace, readers_replace
from cairn.library.models import Document, KnowledgeBase

Roles = dict[tuple[str, UUID], Role]
"""By user name and id."""


@dataclass(frozen=True, slots=True)
class Change:
    """None: no access."""

    user: UUID
    username: str
    before: Role | None
    after: Role | None


@dataclass(frozen=True, slots=True)
class Effect:
    """By user name. Admins are not among them: nothing changes for them."""

    gains: tuple[Change, ...]
    losses: tuple[Change, ...]
    changes: tuple[Change, ...]


def effect_of_grants(
    base: KnowledgeBase, grants: Sequence[tuple[str, Role]], *, principal: Principal
) -> Effect:
    """Raises InvalidInput and Forbidden as making the change would."""

    def roles() -> Roles:
        found = access_of(people_in(base).filter(is_admin=False), base)
        return {(access.username, access.user): access.role for access in found if access.role}

    before = roles()
    with _taken_back():
        grants_replace(knowledge_base=base, grants=grants, principal=principal)
        after = roles()
    return _effect(before, after)


def effect_of_readers(document: Document, readers: Sequence[str]) -> Effect:
    """Who may read the document; roles do not change. Raises InvalidInput as making the change would."""

    def people(of: Document) -> Roles:
        found = people_reading(of).filter(is_admin=False).values_list("username", "id")
        return dict.fromkeys(found, Role.READER)

    before = people(document)
    with _taken_back():
        changed = Document.objects.select_related("knowledge_base").get(pk=document.pk)
        readers_replace(document=changed, readers=readers, actor=None)
        after = people(changed)
    return _effect(before, after)


@contextmanager
def _taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _effect(before: Roles, after: Roles) -> Effect:
    differing = sorted(who for who in before.keys() | after.keys() if before.get(who) != after.get(who))
    changes = [Change(who[1], who[0], before.get(who), after.get(who)) for who in differing]

    def those(which: Callable[[Change], bool]) -> tuple[Change, ...]:
        return tuple(change for change in changes if which(change))

    return Effect(
        gains=those(lambda change: change.before is None),
        losses=those(lambda change: change.after is None),
        changes=those(lambda change: change.before is not None and change.after is not None),
    )
