"""Changes to many users at once. Each call is one transaction, and records one event for each user."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from cairn.accounts.models import Group, User
from cairn.accounts.services import lock_admins, require_an_admin
from cairn.audit.services import record
from cairn.errors import Conflict
from cairn.messages import CodedMessage

GONE = gettext_noop("This user no longer exists.")
OWN_ACCOUNT = gettext_noop("You can’t disable your own account this way.")


@dataclass(frozen=True, slots=True)
class BulkResult:
    """`unchanged`: how many already were as requested. `skipped`: why the others were left out, by id."""

    changed: int
    unchanged: int
    skipped: dict[UUID, str]


def users_set_active(ids: Collection[UUID], *, is_active: bool, actor: UUID) -> BulkResult:
    """Enable or disable users. Their sessions end, and their own account is left out. Raises Conflict if no
    active admin would remain."""
    with transaction.atomic():
        lock_admins()
        found = {user.pk: user for user in User.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
        skipped = dict.fromkeys(set(ids) - found.keys(), GONE)
        if not is_active and actor in found:
            del found[actor]
            skipped[actor] = OWN_ACCOUNT
        differing = [user.pk for user in found.values() if user.is_active is not is_active]
        ended = 0 if is_active else 1
        User.objects.filter(pk__in=differing).update(
            is_active=is_active, session_generation=F("session_generation") + ended
        )
        for user in differing:
            record("user.changed", actor=actor, subject=f"user:{user}", fields=[], is_active=is_active)
        require_an_admin()
    return BulkResult(len(differing), len(found) - len(differing), skipped)


def users_join_group(ids: Collection[UUID], group: Group, *, actor: UUID) -> BulkResult:
    """Add users to a group. Raises Conflict for a group that a directory manages."""
    return _memberships_change(ids, group, joins=True, actor=actor)


def users_leave_group(ids: Collection[UUID], group: Group, *, actor: UUID) -> BulkResult:
    """Remove users from a group. Raises Conflict for a group that a directory manages."""
    return _memberships_change(ids, group, joins=False, actor=actor)


def _memberships_change(ids: Collection[UUID], group: Group, *, joins: bool, actor: UUID) -> BulkResult:
    if group.source:
        raise Conflict(CodedMessage("managed_elsewhere", group=str(group)), code="managed_elsewhere")
    with transaction.atomic():
        found = list(User.objects.filter(pk__in=ids).order_by("pk"))
        members = set(group.members.filter(pk__in=ids).values_list("pk", flat=True))
        differing = [user for user in found if (user.pk in members) is not joins]
        if joins:
            group.members.add(*differing)
        else:
            group.members.remove(*differing)
        detail = {"joined" if joins else "left": [str(group.pk)]}
        for user in differing:
            record("user.changed", actor=actor, subject=f"user:{user.pk}", fields=[], **detail)
    skipped = dict.fromkeys(set(ids) - {user.pk for user in found}, GONE)
    return BulkResult(len(differing), len(found) - len(differing), skipped)
