"""Access to files, by the permissions that Graph lists for them, which include inherited ones."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from cairn.access.source_access import AccessEntry, SourceAccess
from cairn.messages import CodedMessage
from ingestion.sources.kinds.sharepoint.graph import IdentitySet, Permission

_READING: Final = frozenset(
    {
        "read",
        "write",
        "owner",
        "sp.full control",
        "sp.design",
        "sp.edit",
        "sp.contribute",
        "sp.read",
        "sp.view only",
    }
)
_NOT_READING: Final = frozenset({"sp.limited access", "sp.web-only limited access"})
_FOR_OTHERS: Final = frozenset({"anonymous", "organization", "existingAccess"})
"""Scopes of links that open a file to anyone who has the link, or to nobody new."""
EVERYONE: Final = "everyone"
"""Id of the group of all people of the organisation, without guests."""
_EVERYONE: Final = re.compile(r"c:0-\.f\|rolemanager\|spo-grid-all-users(/.*)?|c:0\(\.s\|true", re.IGNORECASE)


class UnknownGrant(ValueError):
    """A permission has a subject or a kind that Cairn doesn't know: the argument."""


def find_access(permissions: Iterable[Permission], site: str) -> SourceAccess:
    """Return who may read an item that has these permissions, in a library of this site."""
    try:
        subjects = [subject for permission in permissions for subject in _find_subjects(permission, site)]
    except UnknownGrant as error:
        return SourceAccess(unknown=CodedMessage("sharepoint_grant_unknown", name=str(error)))
    return SourceAccess((tuple(map(AccessEntry, dict.fromkeys(subjects))),))


def site_group_id(site: str, group: str) -> str:
    return f"site:{site}:{group}"


def is_everyone(login: str) -> bool:
    """Return whether this sign-in name means all people of the organisation."""
    return bool(_EVERYONE.fullmatch(login))


def _find_subjects(permission: Permission, site: str) -> Iterator[str]:
    if permission.expires and permission.expires.astimezone(UTC) <= datetime.now(UTC):
        return
    if not _allows_reading(permission.roles):
        return
    if permission.link:
        if permission.link.scope in _FOR_OTHERS:
            return
        if permission.link.scope != "users":
            raise UnknownGrant(permission.link.scope or "?")
    granted = [*([permission.granted] if permission.granted else []), *permission.granted_to_all]
    if not granted and not permission.link and not permission.invitation:
        raise UnknownGrant("?")
    for identities in granted:
        found = _find_subject(identities, site)
        if found:
            yield found


def _allows_reading(roles: Iterable[str]) -> bool:
    found = {role.lower() for role in roles}
    unclear = found - _READING - _NOT_READING
    if unclear and not found & _READING:
        raise UnknownGrant(min(unclear))
    return bool(found & _READING)


def _find_subject(identities: IdentitySet, site: str) -> str:
    """Return the id of a person or group, "" for an app. Identities of the directory come first."""
    if identities.group and identities.group.id:
        return f"group:{identities.group.id}"
    if identities.user and identities.user.id:
        return f"user:{identities.user.id}"
    if identities.site_group and identities.site_group.id and site:
        return site_group_id(site, identities.site_group.id)
    if identities.site_user and is_everyone(identities.site_user.login):
        return EVERYONE
    if identities.application or identities.device:
        return ""
    named = identities.site_group or identities.site_user or identities.user or identities.group
    raise UnknownGrant(named.name if named and named.name else "?")
