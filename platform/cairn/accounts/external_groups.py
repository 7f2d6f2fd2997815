"""Group memberships from a directory: OpenID Connect, SAML, LDAP, SCIM."""

from collections.abc import Collection

from django.db import transaction

from cairn.accounts.models import Group, User
from cairn.audit.services import record

NAME_LENGTH = 150


def groups_replace(user: User, *, source: str, names: Collection[str]) -> None:
    """The user is in these groups of the source and in no others of it; other sources' stay.

    Missing groups are made. Blank names and names over 150 characters are left out: cut short, two of them
    could become one.
    """
    if not source:
        raise ValueError("A directory has a name; the installation's own groups are set by its admins.")
    requested = {name.strip() for name in names}
    requested = {name for name in requested if name and len(name) <= NAME_LENGTH and "\0" not in name}
    with transaction.atomic():
        groups = [Group.objects.get_or_create(source=source, name=name)[0] for name in sorted(requested)]
        before = set(user.member_of.filter(source=source))
        user.member_of.remove(*before.difference(groups))
        user.member_of.add(*groups)
        if before != set(groups):
            ids = sorted(str(group.id) for group in groups)
            record("user.changed", actor=None, subject=f"user:{user.id}", source=source, groups=ids)
