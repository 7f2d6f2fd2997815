"""People and groups of a Google Workspace, read when they are first needed."""

from collections.abc import Iterator
from functools import cached_property
from typing import Final

from cairn.access.source_access import SourceGroup, SourcePerson
from ingestion.sources.json_api import JsonApi
from ingestion.sources.kinds.google_drive.answers import Group, Groups, Member, Members, User, Users

_PATH: Final = "admin/directory/v1"
ORGANISATION: Final = "organisation"


class Directory:
    """The directory. It caches everything it reads."""

    def __init__(self, api: JsonApi) -> None:
        self._api = api

    @cached_property
    def users(self) -> list[User]:
        """People who may sign in."""
        params = {"customer": "my_customer", "maxResults": "500", "projection": "basic"}
        pages = self._api.list_tokens(
            f"{_PATH}/users", Users, lambda page: page.next_token, "pageToken", **params
        )
        return [user for page in pages for user in page.users if not user.suspended and not user.archived]

    @cached_property
    def groups(self) -> list[Group]:
        params = {"customer": "my_customer", "maxResults": "200"}
        pages = self._api.list_tokens(
            f"{_PATH}/groups", Groups, lambda page: page.next_token, "pageToken", **params
        )
        return [group for page in pages for group in page.groups]

    def find_person(self, email: str) -> str:
        """Return the id of a person. For an unknown address, this is an id that no person has."""
        return self._people.get(email.lower(), f"mail:{email.lower()}")

    def find_group(self, email: str) -> str:
        return self._groups.get(email.lower(), f"list:{email.lower()}")

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield people and groups, and as groups everybody in the organisation and in each of its domains."""
        domains = dict[str, list[str]]()
        for user in self.users:
            name = str(user.name.get("fullName") or user.email)
            yield SourcePerson(_person(user.id), name, user.email, directory_id=user.id)
            domains.setdefault(_domain_of(user.email), []).append(_person(user.id))
        for domain, people in sorted(domains.items()):
            yield SourceGroup(domain_id(domain), domain, tuple(people))
        everybody = tuple(_person(user.id) for user in self.users)
        yield SourceGroup(ORGANISATION, "Google Workspace", everybody)
        for group in self.groups:
            yield SourceGroup(_group(group.id), group.name or group.email, self._list_members(group))

    @cached_property
    def _people(self) -> dict[str, str]:
        return {
            email.lower(): _person(user.id) for user in self.users for email in (*user.aliases, user.email)
        }

    @cached_property
    def _groups(self) -> dict[str, str]:
        return {
            email.lower(): _group(group.id)
            for group in self.groups
            for email in (*group.aliases, group.email)
        }

    def _list_members(self, group: Group) -> tuple[str, ...]:
        path = f"{_PATH}/groups/{group.id}/members"
        pages = self._api.list_tokens(
            path, Members, lambda page: page.next_token, "pageToken", maxResults="200"
        )
        found = (_find_member(member) for page in pages for member in page.members)
        return tuple(filter(None, found))


def domain_id(domain: str) -> str:
    return f"domain:{domain.lower()}"


def _find_member(member: Member) -> str:
    match member.type:
        case "USER":
            return _person(member.id) if member.status == "ACTIVE" else ""
        case "GROUP":
            return _group(member.id)
        case "CUSTOMER":
            return ORGANISATION
    return ""


def _domain_of(email: str) -> str:
    return email.rpartition("@")[2].lower()


def _person(identity: str) -> str:
    return f"user:{identity}"


def _group(identity: str) -> str:
    return f"group:{identity}"
