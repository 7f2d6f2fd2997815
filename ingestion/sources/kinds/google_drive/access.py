"""Access to files, by the permissions that Google Drive lists for them, which include inherited ones."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess
from cairn.messages import CodedMessage
from ingestion.sources.kinds.google_drive.answers import Permission
from ingestion.sources.kinds.google_drive.directory import Directory, domain_id

_READING: Final = frozenset({"owner", "organizer", "fileOrganizer", "writer", "commenter", "reader"})


class UnknownGrant(ValueError):
    """A permission is of a kind that Cairn doesn't know. The argument says which."""


def find_access(permissions: Iterable[Permission], directory: Directory) -> SourceAccess:
    """Return who may read a file that has these permissions."""
    try:
        subjects = [
            subject for permission in permissions for subject in _find_subjects(permission, directory)
        ]
    except UnknownGrant as error:
        return SourceAccess(unknown=CodedMessage("google_grant_unknown", name=str(error)))
    return SourceAccess((tuple(map(AccessEntry, dict.fromkeys(subjects))),))


def _find_subjects(permission: Permission, directory: Directory) -> Iterator[str]:
    """Yield the subjects of a permission. Files shared only by link are readable by nobody, as nobody can
    find them."""
    if permission.deleted or permission.view or _has_expired(permission):
        return
    if permission.role not in _READING:
        raise UnknownGrant(permission.role)
    match permission.type:
        case "user" if permission.email:
            yield directory.find_person(permission.email)
        case "group" if permission.email:
            yield directory.find_group(permission.email)
        case "domain" if permission.domain:
            if permission.is_discoverable:
                yield domain_id(permission.domain)
        case "anyone":
            if permission.is_discoverable:
                yield EVERYONE
        case _:
            raise UnknownGrant(permission.type)


def _has_expired(permission: Permission) -> bool:
    return permission.expires is not None and permission.expires.astimezone(UTC) <= datetime.now(UTC)
