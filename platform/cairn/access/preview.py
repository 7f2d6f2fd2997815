"""Preview of an access change: who would gain, lose or change access.

The change is made in a transaction that is rolled back, so the preview follows the actual rules.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from cairn.access.audience import access_of, people_in, people_reading
from cairn.access.models import Role
from cairn.access.scope import Principal
from cairn.access.services import grants_replace, readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase

Roles = dict[tuple[str, UUID], Role]
"""Roles by user name and user id."""


@dataclass(frozen=True, slots=True)
class AccessChange:
    """One person's role before and after the change. None means no access. `label`: the name on pages."""

    user: UUID
    username: str
    label: str
    before: Role | None
    after: Role | None


@dataclass(frozen=True, slots=True)
class AccessPreview:
    """Changes sorted by user name. Admins are left out: nothing changes for them."""

    gains: tuple[AccessChange, ...]
    losses: tuple[AccessChange, ...]
    changes: tuple[AccessChange, ...]


def preview_grants(
    base: KnowledgeBase, grants: Sequence[tuple[str, Role]], *, principal: Principal
) -> AccessPreview:
    """Preview replacing the grants of a knowledge base. Raises InvalidInput and Forbidden as the change
    would."""

    def roles() -> Roles:
        found = access_of(people_in(base).filter(is_admin=False), base)
        return {(access.username, access.user): access.role for access in found if access.role}

    before = roles()
    with _roll_back_on_exit():
        grants_replace(knowledge_base=base, grants=grants, principal=principal)
        after = roles()
    return _compare_roles(before, after)


def preview_readers(document: Document, readers: Sequence[str]) -> AccessPreview:
    """Preview replacing the readers of a document; roles do not change. Raises InvalidInput as the change
    would."""

    def people(of: Document) -> Roles:
        found = people_reading(of).filter(is_admin=False).values_list("username", "id")
        return dict.fromkeys(found, Role.READER)

    before = people(document)
    with _roll_back_on_exit():
        changed = Document.objects.select_related("knowledge_base").get(pk=document.pk)
        readers_replace(document=changed, readers=readers, actor=None)
        after = people(changed)
    return _compare_roles(before, after)


@contextmanager
def _roll_back_on_exit() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _compare_roles(before: Roles, after: Roles) -> AccessPreview:
    differing = sorted(who for who in before.keys() | after.keys() if before.get(who) != after.get(who))
    users = User.objects.in_bulk([user for _name, user in differing])
    changes = [
        AccessChange(user, name, users[user].label, before.get((name, user)), after.get((name, user)))
        for name, user in differing
    ]

    def those(which: Callable[[AccessChange], bool]) -> tuple[AccessChange, ...]:
        return tuple(change for change in changes if which(change))

    return AccessPreview(
        gains=those(lambda change: change.before is None),
        losses=those(lambda change: change.after is None),
        changes=those(lambda change: change.before is not None and change.after is not None),
    )
