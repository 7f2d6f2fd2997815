"""Rights of people in the projects of a Redmine, by their roles there.

A role can be limited to issues of some trackers, which the API doesn't return. It does return which trackers
a user sees in a project, so the limits of a role follow from people who have only that role.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ingestion.sources.kinds.redmine.api import Project, Role

RoleSet = frozenset[int]
_RANKS: Final = {"own": 1, "default": 2, "all": 3}
OWN, NOT_PRIVATE, ALL_ISSUES = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Members:
    """Users of a project by their roles there, without administrators. Users who aren't members of a public
    project have the roles of the group of non-members."""

    project: Project
    users: Mapping[RoleSet, frozenset[int]]


class UnclearRole(ValueError):
    """A role may be limited to some trackers, and nothing shows to which."""


class Permissions:
    """Permissions of all projects. `trackers`: those that a user with these roles sees, by project."""

    def __init__(
        self,
        roles: Mapping[int, Role],
        members: Mapping[int, Members],
        trackers: Mapping[tuple[int, RoleSet], frozenset[int]],
    ) -> None:
        self._roles, self.members, self._trackers = roles, members, trackers
        self._visible, self._hidden = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
        for (project, some), seen in trackers.items():
            viewing = self._list_viewing(some)
            if len(viewing) == 1:
                self._visible[viewing[0]] |= seen
                self._hidden[viewing[0]] |= self._list_trackers(project) - seen

    def find_allowed(self, project: int, permission: str) -> frozenset[int]:
        """Return the users who have a permission in a project."""
        users = self.members[project].users if project in self.members else {}
        return frozenset().union(*(who for some, who in users.items() if self._allows(some, permission)))

    def find_viewers(self, project: int, tracker: int, rank: int) -> frozenset[int]:
        """Return who sees issues of a tracker: at least their own, those that aren't private, or all.

        Raises UnclearRole.
        """
        users = self.members[project].users if project in self.members else {}
        return frozenset().union(
            *(who for some, who in users.items() if self._rank(project, some, tracker) >= rank)
        )

    def _rank(self, project: int, some: RoleSet, tracker: int) -> int:
        listed = tracker in self._list_trackers(project)
        if listed and tracker not in self._trackers.get((project, some), frozenset()):
            return 0
        possible = [role for role in self._list_viewing(some) if tracker not in self._hidden[role]]
        ranks = {role: _RANKS.get(self._roles[role].issues_visibility, 0) for role in possible}
        if listed and len(set(ranks.values())) == 1:  # one of these roles must be why they see the tracker
            return next(iter(ranks.values()))
        best = max(ranks.values(), default=0)
        if best and not any(tracker in self._visible[role] for role in possible if ranks[role] == best):
            raise UnclearRole
        return best

    def _list_trackers(self, project: int) -> frozenset[int]:
        found = self.members.get(project)
        return frozenset(each.id for each in found.project.trackers) if found else frozenset()

    def _list_viewing(self, some: RoleSet) -> list[int]:
        return sorted(role for role in some if self._allows({role}, "view_issues"))

    def _allows(self, some: Collection[int], permission: str) -> bool:
        return any(role in self._roles and permission in self._roles[role].permissions for role in some)


def choose_witnesses(members: Mapping[int, Members]) -> Iterator[tuple[int, list[tuple[int, RoleSet]]]]:
    """Yield a few users, each with the roles that they have in projects, so that all roles are covered."""
    roles_of = defaultdict[int, list[tuple[int, RoleSet]]](list)
    for project, found in members.items():
        for some, users in found.users.items():
            for user in users:
                roles_of[user].append((project, some))
    covered = set[tuple[int, RoleSet]]()
    for user, found_roles in sorted(roles_of.items(), key=lambda each: (-len(each[1]), each[0])):
        if not covered.issuperset(found_roles):
            covered.update(found_roles)
            yield user, found_roles
