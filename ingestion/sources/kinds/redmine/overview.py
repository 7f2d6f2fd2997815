"""Projects, users, roles and members of a Redmine, read when they are first needed."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from cairn.messages import CodedMessage
from ingestion.sources.kinds.redmine.api import (
    ACTIVE,
    CLOSED,
    Groups,
    Membership,
    NotThere,
    OneGroup,
    OneRole,
    OneUser,
    Project,
    RedmineApi,
    Role,
    Roles,
    User,
)
from ingestion.sources.kinds.redmine.permissions import Members, Permissions, RoleSet, choose_witnesses
from ingestion.sources.protocol import SourceRefused

_VISIBLE: Final = f"{ACTIVE}|{CLOSED}"
_BUILT_IN: Final = 2
_MAX_ROLES: Final = 1000


class Overview:
    """Projects, users, roles and members. `names`: identifiers of projects, empty for all."""

    def __init__(self, api: RedmineApi, names: frozenset[str]) -> None:
        self._api, self._names = api, names
        self._groups: dict[int, frozenset[int]] = {}

    def require_admin(self) -> None:
        if not self._api.read("users/current.json", OneUser).user.admin:
            raise SourceRefused(CodedMessage("redmine_admin_required"))

    @cached_property
    def projects(self) -> dict[int, Project]:
        """Projects that are neither archived nor deleted."""
        found = self._list_projects("enabled_modules,trackers")
        return {each.id: each for each in found if not self._names or each.identifier in self._names}

    @cached_property
    def users(self) -> dict[int, User]:
        """Users who aren't locked."""
        found = self._api.list_all("users.json", "users", User, status=str(ACTIVE))
        return {user.id: user for user in found if user.status == ACTIVE}

    @cached_property
    def admins(self) -> frozenset[int]:
        return frozenset(user.id for user in self.users.values() if user.admin)

    @cached_property
    def permissions(self) -> Permissions:
        """Permissions in all projects."""
        roles, non_member = self._read_roles()
        members = {
            project.id: Members(project, self._find_members(project, non_member))
            for project in self.projects.values()
        }
        trackers: dict[tuple[int, RoleSet], frozenset[int]] = {}
        for user, some in choose_witnesses(members):
            seen = self._list_trackers_seen(self.users[user].login)
            trackers |= {(project, role_set): seen.get(project, frozenset()) for project, role_set in some}
        return Permissions(roles, members, trackers)

    def find_group(self, group: int) -> frozenset[int]:
        """Return the users in a group; none if it isn't a group."""
        if group not in self._groups:
            try:
                found = self._api.read(f"groups/{group}.json", OneGroup, include="users").group
            except NotThere:
                return frozenset()
            self._groups[group] = frozenset(user.id for user in found.users)
        return self._groups[group]

    @cached_property
    def group_ids(self) -> frozenset[int]:
        return frozenset(group.id for group in self._api.read("groups.json", Groups).groups)

    def _list_projects(self, include: str, as_user: str = "") -> Iterator[Project]:
        return self._api.list_all(
            "projects.json", "projects", Project, as_user=as_user, status=_VISIBLE, include=include
        )

    def _list_trackers_seen(self, login: str) -> dict[int, frozenset[int]]:
        return {
            project.id: frozenset(tracker.id for tracker in project.trackers)
            for project in self._list_projects("trackers", as_user=login)
        }

    def _read_roles(self) -> tuple[dict[int, Role], int]:
        """Return all roles by id, and the id of the role of non-members.

        That role and the one of anonymous visitors aren't listed. Theirs are the two lowest ids that the list
        lacks, in this order, since every Redmine is created with them.
        """
        listed = {role.id for role in self._api.read("roles.json", Roles).roles}
        roles = {role: self._api.read(f"roles/{role}.json", OneRole).role for role in listed}
        built_in = []
        for role in range(1, min(max(listed, default=0) + _BUILT_IN + 1, _MAX_ROLES)):
            if role in listed:
                continue
            try:
                roles[role] = self._api.read(f"roles/{role}.json", OneRole).role
            except NotThere:
                continue
            built_in.append(role)
        if len(built_in) != _BUILT_IN:
            raise SourceRefused(CodedMessage("redmine_roles_unclear"))
        return roles, built_in[0]

    def _find_members(self, project: Project, non_member: int) -> dict[RoleSet, frozenset[int]]:
        members, others = dict[int, RoleSet](), frozenset({non_member})
        path = f"projects/{project.id}/memberships.json"
        for row in self._api.list_all(path, "memberships", Membership):
            roles = frozenset(role.id for role in row.roles)
            if row.user:
                members[row.user.id] = roles
            elif row.group_non_member:
                others = roles
        found = defaultdict[RoleSet, set[int]](set)
        for user in self.users:
            if user not in self.admins and (user in members or project.is_public):
                found[members.get(user, others)].add(user)
        return {roles: frozenset(who) for roles, who in found.items()}
