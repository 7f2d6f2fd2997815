"""People and groups that a directory makes and changes by itself: SCIM.

It may change everyone, for it acts with an admin's key, but makes nobody an admin. Of the groups it changes
those that it made.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import EmailField

from cairn.accounts.display_names import NAME_LENGTH as DISPLAY_NAME_LENGTH
from cairn.accounts.display_names import normalize_display_name, replace_parentheses
from cairn.accounts.external_groups import NAME_LENGTH
from cairn.accounts.models import Group, Identity, User
from cairn.accounts.services import user_create, user_update
from cairn.audit.services import record
from cairn.errors import InvalidInput, Taken

SCIM = "scim"
EXTERNAL_ID_LENGTH = 255
MAX_MEMBERS = 5000


def person_create(
    *, username: str, display_name: str | None, email: str, is_active: bool, external_id: str, actor: UUID
) -> User:
    """Create a person without a password: they sign in through the directory."""
    display_name = replace_parentheses(display_name or "")
    with transaction.atomic():
        user = user_create(
            username=username, display_name=display_name, email=email, is_active=is_active, actor=actor
        )
        identity_set(user, source=SCIM, external_id=external_id, actor=actor)
    return user


def person_update(
    user: User,
    *,
    username: str,
    display_name: str | None,
    email: str,
    is_active: bool | None,
    external_id: str,
    actor: UUID,
) -> None:
    """`display_name` and `is_active` None leave them as they are. Raises Conflict if no active admin were
    left."""
    requested = {
        "username": username,
        "display_name": None if display_name is None else replace_parentheses(display_name),
        "email": email,
        "is_active": is_active,
    }
    changes: dict[str, Any] = {
        name: value for name, value in requested.items() if value is not None and value != getattr(user, name)
    }
    with transaction.atomic():
        if changes:
            user_update(user, **changes, actor=actor)
        identity_set(user, source=SCIM, external_id=external_id, actor=actor)


def profile_fill(user: User, *, display_name: str, email: str) -> User:
    """Fill in the display name and address if they are empty here and valid there. Others stay: an admin may
    have changed them."""
    name = replace_parentheses(normalize_display_name(display_name))[:DISPLAY_NAME_LENGTH].strip()
    name = "" if user.display_name or name == user.username else name
    address = email if not user.email and _is_address(email) else ""
    if not name and not address:
        return user
    return user_update(user, display_name=name or None, email=address or None)


def _is_address(text: str) -> bool:
    try:
        EmailField().run_validators(text)
    except ValidationError:
        return False
    return True


def identity_set(user: User, *, source: str, external_id: str, actor: UUID | None) -> None:
    """The directory knows the user by this id; by none if it is empty."""
    known = user.identities.filter(source=source)
    if external_id == (known.values_list("external_id", flat=True).first() or ""):
        return
    _clean_external_id(external_id)
    if Identity.objects.filter(source=source, external_id=external_id).exists():
        raise Taken("This externalId is already in use.")
    known.delete()
    if external_id:
        Identity.objects.create(user=user, source=source, external_id=external_id)
    record("user.changed", actor=actor, subject=f"user:{user.id}", source=source, fields=["external_id"])


def _clean_external_id(external_id: str) -> str:
    if len(external_id) > EXTERNAL_ID_LENGTH:
        raise InvalidInput(f"An externalId can have up to {EXTERNAL_ID_LENGTH} characters.")
    return external_id


def team_create(*, name: str, external_id: str, members: Collection[UUID], actor: UUID) -> Group:
    group = Group(source=SCIM)
    with transaction.atomic():
        _team_save(group, name, external_id)
        group.members.set(_people(members))
        _record_change("group.created", group, actor, members=_texts(members))
    return group


def team_update(group: Group, *, name: str, external_id: str, members: Collection[UUID], actor: UUID) -> None:
    """Set the group's name and members."""
    was = (group.name, group.external_id)
    before, requested = set(group.members.values_list("id", flat=True)), set(members)
    with transaction.atomic():
        if was != (name, external_id):
            _team_save(group, name, external_id)
        if before != requested:
            group.members.set(_people(requested))
        if was != (group.name, group.external_id) or before != requested:
            changes = {"added": _texts(requested - before), "removed": _texts(before - requested)}
            _record_change("group.changed", group, actor, renamed=was[0] != group.name, **changes)


def _team_save(group: Group, name: str, external_id: str) -> None:
    group.name, group.external_id = _clean_name(name), _clean_external_id(external_id)
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError as error:
        raise Taken("This group name or externalId is already in use.") from error


def _record_change(action: str, group: Group, actor: UUID, **detail: Any) -> None:
    record(action, actor=actor, subject=f"group:{group.id}", source=SCIM, **detail)


def _texts(ids: Collection[UUID]) -> list[str]:
    return sorted(map(str, ids))


def _clean_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_LENGTH:
        raise InvalidInput(f"A group name must have 1 to {NAME_LENGTH} characters.")
    return name


def _people(ids: Collection[UUID]) -> list[User]:
    if len(ids) > MAX_MEMBERS:
        raise InvalidInput(f"A group can have up to {MAX_MEMBERS} members.")
    found = list(User.objects.filter(id__in=ids))
    if len(found) != len(set(ids)):
        raise InvalidInput("One of the members isn’t a user.")
    return found
