"""Issues and wiki pages of a GitLab, and who may read them."""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO, Final
from urllib.parse import quote

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources import daily_listing
from ingestion.sources.check_steps import (
    StepWarning,
    find_first,
    read_items,
    require_known_access,
    require_people,
    run_steps,
)
from ingestion.sources.daily_listing import list_since
from ingestion.sources.item_streams import shorten_id
from ingestion.sources.json_api import NOT_THERE, RequestRefused
from ingestion.sources.kinds.gitlab.access import (
    INTERNAL_USERS,
    AccessReader,
    confidential_group,
    members_group,
    reads_confidential,
)
from ingestion.sources.kinds.gitlab.answers import DISABLED, Issue, Person, Project, Token, WikiPage
from ingestion.sources.kinds.gitlab.api import BY_CREATION, PAGE_LENGTH, SCOPES, GitLabApi
from ingestion.sources.kinds.gitlab.options import GitLabOptions
from ingestion.sources.kinds.gitlab.texts import WIKI_ENDINGS, write_issue
from ingestion.sources.protocol import (
    MAX_ID_LENGTH,
    AccessUnknown,
    Change,
    CheckStep,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    Unlisted,
)
from ingestion.sources.web_server import WebServer, open_web_server

_OVERLAP: Final = timedelta(days=1)
"""Changes of so long before the last sync are listed again, since clocks differ."""
_SETTLED: Final = timedelta(minutes=10)
"""GitLab notes at most one time of change a minute: a comment that is edited soon after another change may
leave no trace. An issue that changed so recently is read again by the next sync."""
_RECENT: Final = "~"
_EXPIRES_SOON: Final = timedelta(days=14)
_ISSUE, _WIKI = "issue", "wiki"
_SIDEBAR: Final = "_sidebar"


@contextmanager
def connect(options: GitLabOptions) -> Iterator["GitLabSource"]:
    """Open connections to the GitLab as they are needed."""
    headers = {"PRIVATE-TOKEN": options.token.get_secret_value()}
    with (
        open_web_server(options.url, headers=headers) as server,
        open_web_server(options.url) as visitor,
    ):
        server.require_encryption()
        yield GitLabSource(options, server, visitor)


class GitLabSource:
    """Ids of items are "issue:PROJECT:NUMBER" and "wiki:PROJECT:SLUG"."""

    def __init__(self, options: GitLabOptions, server: WebServer, visitor: WebServer) -> None:
        self._options, self._server, self._visitor = options, server, visitor
        self._api = GitLabApi(server)

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the token, the listing, the first document, its permissions, and the people."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in", self._sign_in),
            ("source_step_token", self._check_token),
            ("source_step_list", lambda: first.extend(self._find_first())),
            ("source_step_read", lambda: read_items(self, first)),
            ("source_step_access", lambda: self._require_access(first)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield all issues once a day, otherwise only recent changes. Wiki pages are always listed."""
        return list_since(
            cursor,
            list_all=lambda: self._list_projects({}),
            list_changed=lambda since: self._list_projects(
                {"updated_after": BY_CREATION.format_time(since - _OVERLAP)}
            ),
            require_account=self._api.read_token,
        )

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open an issue or a wiki page as text. One that changed since it was listed is refused."""
        kind, project, key = item.id.split(":", 2)
        try:
            if kind == _ISSUE:
                text, version = self._read_issue(int(project), int(key))
            else:
                text, version = self._read_page(item, int(project), key)
        except RequestRefused as error:
            code = "source_item_gone" if error.status_code in NOT_THERE else "source_item_refused"
            raise ItemUnavailable(CodedMessage(code, name=item.name)) from error
        if version != item.version.rstrip(_RECENT):
            raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))
        yield io.BytesIO(text.encode(errors="replace"))

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item that still exists."""
        projects = {str(each.id): each for each in self._find_projects()[0]}
        reader = AccessReader(self._api, self._visitor, daily_listing.current_time().date())
        by_project = dict[tuple[str, str], list[str]]()
        for item in items:
            kind, project, _key = item.id.split(":", 2)
            by_project.setdefault((kind, project), []).append(item.id)
        for (kind, identity), ids in by_project.items():
            found = projects.get(identity)
            try:
                if found and kind == _ISSUE and found.issues_level != DISABLED:
                    yield from self._list_issue_access(reader, found, ids)
                elif found and kind == _WIKI and found.wiki_level != DISABLED:
                    yield from self._list_page_access(reader, found, ids)
            except RequestRefused:
                continue

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the members of the projects, or all users if GitLab lists them, and two groups for each
        project: those who have a role in it, and those whose role is enough for confidential issues. Projects
        whose members aren't known have no groups, since only managers may read them."""
        self._api.read_token()
        reader = AccessReader(self._api, self._visitor, daily_listing.current_time().date())
        people: dict[int, Person] = {}
        if reader.lists_users:
            users = [user for user in self._api.list_users() if user.is_active and not user.bot]
            people.update((user.id, user) for user in users)
            internal = dict.fromkeys(user.subject for user in users if user.external is False)
            yield SourceGroup(INTERNAL_USERS, "GitLab", tuple(internal))
        for project in self._find_projects()[0]:
            try:
                members = reader.find_members(project)
            except AccessUnknown:
                continue
            if reader.lists_users:
                members = [member for member in members if member.id in people]
            people = {**{member.id: member for member in members}, **people}
            confidential = [each for each in members if reads_confidential(each)]
            for group, name, listed in (
                (members_group(project), project.path, members),
                (
                    confidential_group(project),
                    f"{project.path} (Planner, Reporter, Developer, Maintainer, Owner)",
                    confidential,
                ),
            ):
                yield SourceGroup(group, name, tuple(dict.fromkeys(each.subject for each in listed)))
        for person in people.values():
            yield SourcePerson(person.subject, person.label, person.address)
        self._api.read_token()

    def _find_projects(self) -> tuple[list[Project], list[str]]:
        """Return the projects, and the paths of those that were chosen but aren't there."""
        if not self._options.project_paths:
            return list(self._api.list_projects()), []
        found, missing = list[Project](), list[str]()
        for path in self._options.project_paths:
            project = self._find_project(path)
            if project:
                found.append(project)
            else:
                missing.append(path)
        return found, missing

    def _find_project(self, path: str) -> Project | None:
        """Return the project at this path, None if it is at another one by now."""
        try:
            project = self._api.read_project(path)
        except RequestRefused as error:
            if error.status_code not in NOT_THERE:
                raise
            return None
        except SourceRefused as error:
            if error.message.code != "source_redirects":  # type: ignore[attr-defined]
                raise
            return None
        return project if project.path == path else None

    def _list_projects(self, bounds: dict[str, str]) -> Iterator[Change]:
        projects, missing = self._find_projects()
        for path in missing:
            yield Unlisted(path, CodedMessage("gitlab_project_missing", name=path))
        for project in projects:
            yield Progress()
            try:
                if project.issues_level != DISABLED:
                    yield from self._list_issues(project, bounds)
                if self._options.wiki and project.wiki_level != DISABLED:
                    yield from self._list_wiki(project)
            except RequestRefused as error:
                yield Unlisted(project.path, error.message)

    def _list_issues(self, project: Project, bounds: dict[str, str]) -> Iterator[Change]:
        for issue in self._api.list_issues(project, **bounds):
            is_recent = daily_listing.current_time() - issue.updated_at < _SETTLED
            yield Item(
                id=f"{_ISSUE}:{project.id}:{issue.iid}",
                name=f"{issue.iid}.md",
                uri=f"{self._server.url}{quote(project.path)}/-/issues/{issue.iid}",
                version=self._version_of(issue) + (_RECENT if is_recent else ""),
                container=project.path,
                title=f"{project.path}#{issue.iid} {issue.title}",
                modified=issue.updated_at,
            )

    def _list_wiki(self, project: Project) -> Iterator[Change]:
        for page in self._api.list_wiki(project.id, with_content=True):
            if page.slug == _SIDEBAR:
                continue
            yield Item(
                id=_page_id(project.id, page.slug),
                name=page.slug.rpartition("/")[2] + WIKI_ENDINGS.get(page.format, ".txt"),
                uri=f"{self._server.url}{quote(f'{project.path}/-/wikis/{page.slug}')}",
                version=_digest(page),
                container=project.path,
                title=f"{project.path} {page.title or page.slug}",
            )

    def _version_of(self, issue: Issue) -> str:
        comments = f"{issue.notes_count}" if self._options.comments else "-"
        return f"{issue.updated_at.isoformat()} {comments}"

    def _read_issue(self, project: int, number: int) -> tuple[str, str]:
        issue = self._api.read_issue(project, number)
        has_notes = self._options.comments and issue.notes_count
        notes = self._api.list_notes(project, number) if has_notes else ()
        return write_issue(issue, notes), self._version_of(issue)

    def _read_page(self, item: Item, project: int, slug: str) -> tuple[str, str]:
        if len(item.id) >= MAX_ID_LENGTH:  # the id has only the start of the slug
            pages = self._api.list_wiki(project)
            slug = next((page.slug for page in pages if _page_id(project, page.slug) == item.id), slug)
        page = self._api.read_wiki_page(project, slug)
        return page.content, _digest(page)

    def _list_issue_access(
        self, reader: AccessReader, project: Project, ids: list[str]
    ) -> Iterator[tuple[str, SourceAccess]]:
        numbers = [int(each.rpartition(":")[2]) for each in ids]
        for start in range(0, len(numbers), PAGE_LENGTH):
            for issue in self._api.find_issues(project.id, numbers[start : start + PAGE_LENGTH]):
                access = reader.find_access(project, issue)
                yield f"{_ISSUE}:{project.id}:{issue.iid}", access

    def _list_page_access(
        self, reader: AccessReader, project: Project, ids: list[str]
    ) -> Iterator[tuple[str, SourceAccess]]:
        there = {_page_id(project.id, page.slug) for page in self._api.list_wiki(project.id)}
        access = reader.find_access(project)
        yield from ((each, access) for each in ids if each in there)

    def _sign_in(self) -> StepWarning:
        self._api.read_token()
        return StepWarning(self._server.encryption_warning)

    def _check_token(self) -> StepWarning:
        """Raise SourceRefused if the token may not read, and warn if it may write or expires soon."""
        token: Token = self._api.read_token()
        scopes = frozenset(token.scopes)
        if not scopes & SCOPES:
            raise SourceRefused(CodedMessage("gitlab_scope_missing"))
        if token.expires_at and token.expires_at <= (daily_listing.current_time() + _EXPIRES_SOON).date():
            return StepWarning(CodedMessage("source_token_expires", day=token.expires_at.isoformat()))
        return StepWarning(CodedMessage("gitlab_token_writes") if "api" in scopes else "")

    def _find_first(self) -> list[Item]:
        """Return the first item. Raises SourceRefused if there are no projects, or one can't be listed."""
        if not self._options.project_paths and not self._find_projects()[0]:
            raise SourceRefused(CodedMessage("gitlab_projects_missing"))
        return find_first(self._list_projects({}), skips_unlisted=False)

    def _require_access(self, items: Collection[Item]) -> StepWarning:
        require_known_access(self, items)
        require_people(self, "gitlab_people_unlisted")
        return StepWarning("" if self._api.lists_users() else CodedMessage("gitlab_people_partly"))


def _page_id(project: int, slug: str) -> str:
    return shorten_id(f"{_WIKI}:{project}:{slug}")


def _digest(page: WikiPage) -> str:
    text = "\n".join((page.title, page.format, page.content))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
