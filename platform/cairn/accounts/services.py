"""Write services for users, groups and API keys."""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.accounts.confusable_names import acceptable_name, check_name, name_skeleton, normalize_name
from cairn.accounts.display_names import clean_display_name
from cairn.accounts.models import ApiKey, Group, KeyScope, PasswordLink, PasswordMail, User
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput, NotFound, Taken
from cairn.messages import CodedMessage

KEY_PREFIX = "cairn_"
NAME_STEM_LENGTH = 100
LAST_USED_EVERY = timedelta(minutes=1)  # one write a minute at most, however busy the key is


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _first_message(error: ValidationError) -> str:
    return " ".join(error.messages)


def require_valid_password(password: str | None) -> str | None:
    if password is not None:
        try:
            validate_password(password)
        except ValidationError as error:
            raise InvalidInput(_first_message(error)) from error
    return password


def _groups(ids: Collection[UUID]) -> list[Group]:
    found = list(Group.objects.filter(id__in=ids))
    if len(found) != len(set(ids)):
        raise InvalidInput(gettext_noop("One of the groups doesn’t exist."))
    return found


def _users(
    ids: Collection[UUID], *, unknown: str = gettext_noop("One of the members doesn’t exist.")
) -> list[User]:
    found = list(User.objects.filter(id__in=ids))
    if len(found) != len(set(ids)):
        raise InvalidInput(unknown)
    return found


def _ids(values: Collection[UUID] | None) -> list[str] | None:
    return None if values is None else sorted(map(str, values))


def _memberships_set(user: User, ids: Collection[UUID]) -> None:
    """Set the local groups; those from directories stay. Raises Conflict for a directory's group the user is
    not in."""
    external = list(user.member_of.exclude(source=""))
    groups = _groups(ids)
    foreign = [group for group in groups if group.source and group not in external]
    if foreign:
        raise Conflict(CodedMessage("managed_elsewhere", group=str(foreign[0])), code="managed_elsewhere")
    user.member_of.set([*external, *(group for group in groups if not group.source)])


def user_create(
    *,
    username: str,
    password: str | None = None,
    display_name: str = "",
    email: str = "",
    is_admin: bool = False,
    is_active: bool = True,
    groups: Collection[UUID] = (),
    actor: UUID | None = None,
) -> User:
    """Create a user. Without a password they cannot sign in with one; keys still work."""
    require_valid_password(password)
    username = normalize_name(username)
    check_name(username)
    _require_free_name(username)
    profile = {"display_name": clean_display_name(display_name), "email": email}
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                username, password, **profile, is_admin=is_admin, is_active=is_active
            )
            _memberships_set(user, groups)
            record(
                "user.created",
                actor=actor,
                subject=f"user:{user.id}",
                is_admin=is_admin,
                is_active=is_active,
                groups=_ids(groups),
            )
    except ValidationError as error:
        raise InvalidInput(_first_message(error)) from error
    except IntegrityError as error:
        raise Taken(CodedMessage("username_taken", username=username)) from error
    return user


def user_update(
    user: User,
    *,
    username: str | None = None,
    password: str | None = None,
    display_name: str | None = None,
    email: str | None = None,
    is_admin: bool | None = None,
    is_active: bool | None = None,
    groups: Collection[UUID] | None = None,
    actor: UUID | None = None,
) -> User:
    """Change the fields that are not None. The last active admin cannot be demoted or disabled. A disabled
    user's sessions stay ended when the account is enabled again."""
    require_valid_password(password)
    with transaction.atomic():
        may_lose_admin = is_admin is False or is_active is False
        if may_lose_admin:
            lock_admins()
        user = User.objects.select_for_update().get(pk=user.pk)
        if username is not None:
            _rename(user, normalize_name(username))
        if display_name not in (None, user.display_name):
            user.display_name = clean_display_name(display_name or "")
        if email is not None and email != user.email:
            address_forget(user)
            user.email = email
        user.is_admin = is_admin if is_admin is not None else user.is_admin
        if is_active is not None:
            user.session_generation += user.is_active and not is_active
            user.is_active = is_active
        if password is not None:
            user.set_password(password)
        _save_unique(user)
        if groups is not None:
            _memberships_set(user, groups)
        if may_lose_admin:
            require_an_admin()
        details = {
            "username": username,
            "display_name": display_name,
            "email": email,
            "password": password,
        }
        fields = sorted(name for name, sent in details.items() if sent is not None)
        rights = {"is_admin": is_admin, "is_active": is_active, "groups": _ids(groups)}
        now = {name: value for name, value in rights.items() if value is not None}
        record("user.changed", actor=actor, subject=f"user:{user.id}", fields=fields, **now)
    return user


def address_forget(user: User) -> None:
    """End the one-time link that may have been sent to the user's address, before the address changes: it may
    be somebody else's. A link made while there was none was passed on by hand, and stays."""
    if user.email:
        PasswordLink.objects.filter(user=user).delete()
    PasswordMail.objects.filter(user=user).update(error="")


def _rename(user: User, username: str) -> None:
    """Check and set a new name. An unchanged one may stay, even if it would be refused today."""
    if username == user.username:
        return
    check_name(username)
    _require_free_name(username, for_user=user)
    user.username, user.name_skeleton, user.has_older_lookalike = username, name_skeleton(username), False


def _save_unique(user: User) -> None:
    try:
        user.full_clean(exclude={"password"}, validate_constraints=False)
        with transaction.atomic():
            user.save()
    except ValidationError as error:
        raise InvalidInput(_first_message(error)) from error
    except IntegrityError as error:
        raise Taken(CodedMessage("username_taken", username=user.username)) from error


def _require_free_name(username: str, *, for_user: User | None = None) -> None:
    others = User.objects.exclude(pk=for_user.pk) if for_user else User.objects.all()
    if others.filter(username__iexact=username).exists():
        raise Taken(CodedMessage("username_taken", username=username))
    if others.filter(name_skeleton=name_skeleton(username)).exists():
        raise Taken(CodedMessage("username_confusable", username=username))


def name_is_taken(username: str, *, by_other_than: User | None = None) -> bool:
    """Return whether another account has the name, or one that people could mistake for it."""
    others = User.objects.exclude(pk=by_other_than.pk) if by_other_than else User.objects.all()
    alike = Q(username__iexact=username) | Q(name_skeleton=name_skeleton(username))
    return others.filter(alike).exists()


def distinguishable_name(requested: str, *, addition: str) -> str:
    """Return a user name for a person from a directory: the requested one if it is acceptable and free, else
    one that people can tell from others. Raises Conflict if there are too many."""
    stem = acceptable_name(requested[:NAME_STEM_LENGTH])[:NAME_STEM_LENGTH].rstrip(".") or "user"
    separator = "." if acceptable_name(f"{stem}.{addition}") == f"{stem}.{addition}" else "@"
    for number in range(1, 100):
        endings = {1: "", 2: f"{separator}{addition}"}
        name = stem + endings.get(number, f"{separator}{addition}-{number - 1}")
        if not name_is_taken(name):
            return name
    raise Conflict(CodedMessage("usernames_exhausted", name=stem))


def lock_admins() -> None:
    """Makes changes that may take away an admin wait for each other: two that demote one another at the same
    time would each still see the other. In one order, so that they do not block each other for good."""
    list(User.objects.select_for_update().filter(is_admin=True).order_by("pk").values_list("pk"))


def require_an_admin() -> None:
    if not User.objects.active().filter(is_admin=True).exists():
        raise Conflict(gettext_noop("There must be at least one active administrator."))


def user_delete(user: User, *, actor: UUID | None = None) -> int:
    """Delete a user and return the number of rows.

    `ingestion.erasure.users.user_erase` also issues a receipt.
    """
    with transaction.atomic():
        lock_admins()
        record("user.deleted", actor=actor, subject=f"user:{user.pk}")
        sessions = sessions_delete(user)
        rows, _ = user.delete()
        require_an_admin()
    return rows + sessions


def sessions_of(user: User) -> Iterator[Session]:
    """Return a user's sessions, found by decoding all: only a session's content names its user."""
    for session in Session.objects.iterator():
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            yield session


def sessions_delete(user: User) -> int:
    keys = [session.pk for session in sessions_of(user)]
    return Session.objects.filter(pk__in=keys).delete()[0]


def group_create(
    *,
    name: str,
    members: Collection[UUID] = (),
    managers: Collection[UUID] = (),
    can_create_knowledge_bases: bool = False,
    actor: UUID | None = None,
) -> Group:
    """`managers` may give the group access to knowledge bases that they manage."""
    if Group.objects.filter(name=name, source="").exists():
        raise Taken(CodedMessage("group_name_taken", name=name))
    with transaction.atomic():
        group = Group.objects.create(name=name, can_create_knowledge_bases=can_create_knowledge_bases)
        group.members.set(_users(members))
        group.managers.set(_users(managers, unknown=gettext_noop("One of the managers doesn’t exist.")))
        record(
            "group.created",
            actor=actor,
            subject=f"group:{group.id}",
            members=_ids(members),
            managers=_ids(managers),
            can_create_knowledge_bases=can_create_knowledge_bases,
        )
    return group


def group_update(
    group: Group,
    *,
    name: str | None = None,
    members: Collection[UUID] | None = None,
    managers: Collection[UUID] | None = None,
    can_create_knowledge_bases: bool | None = None,
    actor: UUID | None = None,
) -> Group:
    """Change the fields that are not None. Raises Conflict for a taken name.

    A directory decides the name and members of its groups: changing those raises Conflict as well. Managers,
    and whether members may create knowledge bases, are always decided here.
    """
    if group.source and (name is not None or members is not None):
        raise Conflict(CodedMessage("managed_elsewhere", group=str(group)), code="managed_elsewhere")
    if name is not None and Group.objects.filter(name=name, source="").exclude(pk=group.pk).exists():
        raise Taken(CodedMessage("group_name_taken", name=name))
    with transaction.atomic():
        if name is not None:
            group.name = name
            group.save(update_fields=["name"])
        if members is not None:
            group.members.set(_users(members))
        if managers is not None:
            group.managers.set(_users(managers, unknown=gettext_noop("One of the managers doesn’t exist.")))
        if can_create_knowledge_bases is not None:
            group.can_create_knowledge_bases = can_create_knowledge_bases
            group.save(update_fields=["can_create_knowledge_bases"])
        detail = {
            "renamed": name is not None,
            "members": _ids(members),
            "managers": _ids(managers),
            "can_create_knowledge_bases": can_create_knowledge_bases,
        }
        record("group.changed", actor=actor, subject=f"group:{group.id}", **detail)
    return group


def group_delete(group: Group, *, actor: UUID | None = None) -> None:
    """Delete a group and all grants to it."""
    with transaction.atomic():
        record("group.deleted", actor=actor, subject=f"group:{group.id}")
        group.delete()


def api_key_create(
    *,
    user: User,
    label: str,
    scopes: Collection[str] | None = None,
    knowledge_bases: Collection[UUID] | None = None,
    expires_at: datetime | None = None,
    for_command: bool = False,
    actor: UUID | None = None,
) -> tuple[ApiKey, str]:
    """The row and the key itself, which is not stored. None means all scopes, all knowledge bases.

    Whether its user may read the knowledge bases does not matter here: it is asked at each use.
    """
    requested = [scope.value for scope in KeyScope] if scopes is None else list(dict.fromkeys(scopes))
    unknown = set(requested) - set(KeyScope.values)
    if unknown or not requested:
        raise InvalidInput(
            f"Scopes are {', '.join(KeyScope.values)}; not {', '.join(sorted(unknown)) or 'none'}."
        )
    prefix = KEY_PREFIX + secrets.token_hex(4)
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    limits = _ids(knowledge_bases)
    with transaction.atomic():
        row = ApiKey.objects.create(
            user=user,
            label=label,
            prefix=prefix,
            digest=_digest(key),
            scopes=requested,
            knowledge_bases=limits,
            expires_at=expires_at,
            for_command=for_command,
        )
        details = {"user": str(user.pk), "scopes": requested, "knowledge_bases": limits}
        record("key.created", actor=actor, subject=f"key:{row.id}", **details)
    return row, key


def api_key_revoke(*, user: User, key_id: UUID, actor: UUID | None = None) -> None:
    with transaction.atomic():
        usable = ApiKey.objects.filter(user=user, id=key_id, revoked_at=None)
        if not usable.update(revoked_at=timezone.now()):
            raise NotFound
        record("key.revoked", actor=actor, subject=f"key:{key_id}", user=str(user.pk))


def api_key_find(key: str) -> ApiKey | None:
    """Return the usable key with this text, and record its use."""
    now = timezone.now()
    row = ApiKey.objects.usable(now).select_related("user").filter(digest=_digest(key)).first()
    if row and (row.last_used_at is None or now - row.last_used_at > LAST_USED_EVERY):
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=now)
    return row
