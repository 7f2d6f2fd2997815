"""Users and groups by name and other properties, for lists and pickers that are searched on the server.

People and groups that a running access check or red team run created are left out.
"""

from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from cairn.access.models import ArtifactKind, CheckArtifact
from cairn.accounts.models import Group, User


def list_users() -> "QuerySet[User]":
    """Return all users except those of tests."""
    return User.objects.filter(hidden=False).exclude(pk__in=CheckArtifact.objects.ids(ArtifactKind.USER))


def list_groups() -> "QuerySet[Group]":
    return Group.objects.exclude(pk__in=CheckArtifact.objects.ids(ArtifactKind.GROUP))


def find_users(
    text: str = "",
    *,
    group: UUID | None = None,
    is_active: bool | None = None,
    is_admin: bool | None = None,
    by_email: bool = False,
) -> "QuerySet[User]":
    """Return users whose user name or display name contains the text and who have the given properties; None
    means any. `by_email`: or whose address contains it, for admins only."""
    found = list_users().filter(match_user(text, by_email=by_email)) if text else list_users()
    found = found if group is None else found.filter(member_of=group)
    found = found if is_active is None else found.filter(is_active=is_active)
    return found if is_admin is None else found.filter(is_admin=is_admin)


def match_user(text: str, *, by_email: bool = False) -> Q:
    """Match users whose names contain the text; `by_email`, or whose address does, for admins only."""
    names = Q(username__icontains=text) | Q(display_name__icontains=text)
    return names | Q(email__icontains=text) if by_email else names


def find_groups(text: str = "", *, source: str | None = None) -> "QuerySet[Group]":
    """Return groups whose name contains the text; `source` "" means those of this installation."""
    found = list_groups().filter(name__icontains=text) if text else list_groups()
    return found if source is None else found.filter(source=source)


def rank_by_prefix(field: str, text: str) -> Case:
    """Return an expression to sort by: names that start with the text come before those that contain it."""
    starts = When(**{f"{field}__istartswith": text}, then=Value(0))
    return Case(starts, default=Value(1), output_field=IntegerField())
