"""Access to issues and pull requests: a person must see the repository."""

from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceAccess
from cairn.messages import CodedMessage
from ingestion.sources.json_api import RequestRefused, read_as_visitor
from ingestion.sources.kinds.github.answers import (
    ORGANIZATION,
    PRIVATE,
    PUBLIC,
    VISIBILITIES,
    Account,
    Repository,
)
from ingestion.sources.kinds.github.api import GitHubApi
from ingestion.sources.protocol import AccessUnknown
from ingestion.sources.web_server import WebServer


class AccessReader:
    """Reads the access to repositories. It caches everything it reads, so use it for one batch.

    `visitor` is the server as an anonymous visitor sees it, None for github.com, which shows public
    repositories to all.
    """

    def __init__(self, api: GitHubApi, visitor: WebServer | None) -> None:
        self._api, self._visitor = api, visitor
        self._open: dict[int, bool] = {}
        self._groups: dict[str, list[Account] | AccessUnknown] = {}

    def find_access(self, repository: Repository) -> SourceAccess:
        try:
            return SourceAccess((self._find_readers(repository),))
        except AccessUnknown as error:
            return SourceAccess(unknown=error.reason)

    def list_groups(self, repository: Repository) -> list[tuple[str, str, list[Account]]]:
        """Return id, name and members of each group that reads a repository. Raises AccessUnknown."""
        is_public = repository.visibility == PUBLIC
        is_known = repository.visibility in VISIBILITIES and repository.private != is_public
        if repository.disabled or not is_known:
            raise AccessUnknown(CodedMessage("github_visibility_unknown", repository=repository.path))
        if is_public and self._is_open(repository):
            return []
        people = self._find_group(f"collaborators:{repository.id}", repository)
        groups = [(f"collaborators:{repository.id}", repository.path, people)]
        if repository.visibility != PRIVATE and repository.owner.type == ORGANIZATION:
            group = f"organization:{repository.owner.id}"
            groups.append((group, repository.owner.login, self._find_group(group, repository)))
        return groups

    def _find_readers(self, repository: Repository) -> AccessLevel:
        groups = self.list_groups(repository)
        return tuple(AccessEntry(group) for group, _name, _people in groups) or (AccessEntry(EVERYONE),)

    def _find_group(self, group: str, repository: Repository) -> list[Account]:
        """Return the people of a group. Raises AccessUnknown."""
        if group not in self._groups:
            self._groups[group] = self._read_group(group, repository)
        found = self._groups[group]
        if isinstance(found, AccessUnknown):
            raise found
        return found

    def _read_group(self, group: str, repository: Repository) -> list[Account] | AccessUnknown:
        """Return the people of a group, or why they aren't known."""
        try:
            if group.startswith("organization:"):
                return [each for each in self._api.list_members(repository.owner.login) if each.is_person]
            collaborators = self._api.list_collaborators(repository.path)
            return [each for each in collaborators if each.is_person and each.permissions.pull]
        except RequestRefused as error:
            message = CodedMessage("github_people_refused", repository=repository.path, reason=error.message)
            return AccessUnknown(message)

    def _is_open(self, repository: Repository) -> bool:
        """Return whether visitors who haven't signed in see a public repository: servers of an organization
        may keep them out."""
        if self._visitor is None:
            return True
        if repository.id not in self._open:
            found = read_as_visitor(self._visitor, f"repos/{repository.path}", Repository)
            self._open[repository.id] = found is not None and found.id == repository.id
        return self._open[repository.id]
