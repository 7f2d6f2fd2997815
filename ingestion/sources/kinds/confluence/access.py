"""Access to pages: a person must be allowed by the space, every page above, and the page itself."""

from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceAccess
from cairn.messages import CodedMessage
from ingestion.sources.atlassian import UnknownSubject
from ingestion.sources.json_api import NOT_THERE, RequestRefused, read_as_visitor
from ingestion.sources.kinds.confluence.api import ConfluenceApi, Content, Space
from ingestion.sources.web_server import WebServer


class AccessReader:
    """Reads the access of pages. It caches everything it reads, so use it for one batch.

    `visitor` is the server as an anonymous visitor sees it.
    """

    def __init__(self, api: ConfluenceApi, visitor: WebServer) -> None:
        self._api, self._visitor = api, visitor
        self._restrictions: dict[str, tuple[str, ...]] = {}
        self._spaces: dict[str, AccessLevel] = {}

    def find_access(self, page: str) -> SourceAccess | None:
        """Return the access of a page, None if it no longer exists."""
        try:
            found = self._api.read_page(page)
        except RequestRefused as error:
            return None if error.status_code in NOT_THERE else SourceAccess(unknown=error.message)
        if found.status != "current":
            return None
        try:
            return SourceAccess(self._find_levels(found))
        except UnknownSubject as error:
            unknown = CodedMessage("confluence_subject_unknown", name=str(error))
            return SourceAccess(unknown=unknown)
        except RequestRefused as error:
            return SourceAccess(unknown=error.message)

    def _find_levels(self, page: Content) -> tuple[AccessLevel, ...]:
        space = self._api.space_of(page)
        if space.id not in self._spaces:
            self._spaces[space.id] = self._read_space(space)
        levels = [self._spaces[space.id]]
        for content in (*self._api.list_ancestors(page), page):
            if content.id not in self._restrictions:
                self._restrictions[content.id] = self._api.read_restriction(content.id)
            subjects = self._restrictions[content.id]
            if subjects:
                levels.append(_level(subjects))
        return tuple(levels)

    def _read_space(self, space: Space) -> AccessLevel:
        """Return who may read in a space. Whether it is open to everyone depends on settings of the whole
        Confluence, so the answer to a visitor counts: the space itself, not a page to sign in."""
        found = read_as_visitor(self._visitor, f"rest/api/space/{space.key}", Space)
        if found and found.id == space.id:
            return (AccessEntry(EVERYONE),)
        return _level(self._api.list_readers(space))


def _level(subjects: tuple[str, ...]) -> AccessLevel:
    return tuple(AccessEntry(subject) for subject in subjects)
