"""Issues, wiki pages and files of a Redmine, seen by an administrator, and who else sees them."""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import BinaryIO, Final
from urllib.parse import quote

from cairn.access.source_access import AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import StepWarning, find_first, read_items, run_steps
from ingestion.sources.item_streams import ItemStream, shorten_id
from ingestion.sources.kinds.redmine.api import (
    Attachment,
    Files,
    Issue,
    NotThere,
    OneIssue,
    OneWikiPage,
    Project,
    RedmineApi,
    WikiIndex,
    WikiPage,
)
from ingestion.sources.kinds.redmine.options import RedmineOptions
from ingestion.sources.kinds.redmine.overview import Overview
from ingestion.sources.kinds.redmine.permissions import ALL_ISSUES, NOT_PRIVATE, OWN, UnclearRole
from ingestion.sources.kinds.redmine.texts import ENDINGS, write_issue
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    Progress,
)
from ingestion.sources.web_server import WebServer, open_web_server

ADMINS: Final = "admins"
_BATCH: Final = 100
_MODULES: Final = {"issue": "issue_tracking", "wiki": "wiki", "project": "files"}
_PERMISSIONS: Final = {"wiki": "view_wiki_pages", "project": "view_files"}


@contextmanager
def connect(options: RedmineOptions) -> Iterator["RedmineSource"]:
    """Open connections to the server as they are needed."""
    headers = {"X-Redmine-API-Key": options.api_key.get_secret_value()}
    with open_web_server(options.url, headers=headers) as server:
        server.require_encryption()
        yield RedmineSource(options, server)


class RedmineSource:
    """Ids of items: "issue:ID", "wiki:PROJECT:TITLE", and "file:ID:" with the id of the item it is attached
    to, which is "project:PROJECT" for files of a project."""

    def __init__(self, options: RedmineOptions, server: WebServer) -> None:
        self._options, self._server = options, server
        self._api = RedmineApi(server)
        self._overview = Overview(self._api, options.project_names)

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the listing, the first document, and the roles."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in", self._sign_in),
            ("source_step_list", lambda: first.extend(find_first(self._list_issues()))),
            ("source_step_read", lambda: read_items(self, first)),
            ("source_step_access", lambda: list(self.list_people())),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # there are no cursors
        """Yield all issues, wiki pages and files."""
        self._overview.require_admin()
        yield from self._list_issues()
        for project in self._overview.projects.values():
            yield Progress()
            if project.has("wiki"):
                yield from self._list_wiki(project)
            if self._options.files and project.has("files"):
                yield from self._list_files(project)
        self._overview.require_admin()  # an account that lost this right meanwhile doesn't get all of them
        yield Complete()

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open an issue or wiki page as text, or a file. What changed since it was listed is refused."""
        return self._open_file(item) if item.id.startswith("file:") else self._open_text(item)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item. Issues are read again: their author, assignee and privacy count."""
        owners = {item.id: _owner(item.id) for item in items}
        numbers = sorted(
            {int(owner.split(":")[1]) for owner in owners.values() if owner.startswith("issue:")}
        )
        issues = {
            issue.id: self._find_issue_access(issue)
            for start in range(0, len(numbers), _BATCH)
            for issue in self._read_issues(numbers[start : start + _BATCH])
        }
        for item, owner in owners.items():
            kind, number = owner.split(":")[:2]
            if kind != "issue":
                yield item, self._find_access(kind, int(number))
            elif int(number) in issues:
                yield item, issues[int(number)]

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield users who aren't locked, and as groups those with the same rights in a project."""
        overview, permissions = self._overview, self._overview.permissions
        for user in overview.users.values():
            name = f"{user.firstname} {user.lastname}".strip() or user.login
            yield SourcePerson(_user(user.id), name, user.mail or "")
        yield SourceGroup(ADMINS, "Redmine", tuple(map(_user, sorted(overview.admins))))
        for project in overview.projects.values():
            for kind, permission in _PERMISSIONS.items():
                users = permissions.find_allowed(project.id, permission)
                yield _group(f"{kind}:{project.id}", f"{project.name}: {kind}", users)
            for tracker in project.trackers:
                for rank, label in ((NOT_PRIVATE, "public"), (ALL_ISSUES, "private")):
                    try:
                        users = permissions.find_viewers(project.id, tracker.id, rank)
                    except UnclearRole:
                        continue
                    name = f"{project.name}: {tracker.name}, {label}"
                    yield _group(f"issues:{project.id}:{tracker.id}:{rank}", name, users)

    def _find_access(self, kind: str, project: int) -> SourceAccess:
        found = self._overview.projects.get(project)
        if not found or not found.has(_MODULES[kind]):
            return SourceAccess()
        return SourceAccess(((AccessEntry(ADMINS), AccessEntry(f"{kind}:{project}")),))

    def _find_issue_access(self, issue: Issue) -> SourceAccess:
        project = self._overview.projects.get(issue.project.id)
        if not project or not project.has("issue_tracking"):
            return SourceAccess()
        try:
            rank, own = self._find_viewers(issue)
        except UnclearRole:
            reason = CodedMessage("redmine_role_unclear", project=project.name, tracker=issue.tracker.name)
            return SourceAccess(unknown=reason)
        people = tuple(AccessEntry(_user(user)) for user in sorted(own))
        group = f"issues:{project.id}:{issue.tracker.id}:{rank}"
        return SourceAccess(((AccessEntry(ADMINS), AccessEntry(group), *people),))

    def _find_viewers(self, issue: Issue) -> tuple[int, frozenset[int]]:
        """Return the rank that sees the issue, and its author and assignees who may see their own issues."""
        permissions = self._overview.permissions
        project, tracker = issue.project.id, issue.tracker.id
        rank = ALL_ISSUES if issue.is_private else NOT_PRIVATE
        permissions.find_viewers(project, tracker, rank)
        own = {each.id for each in (issue.author, issue.assigned_to) if each}
        if issue.assigned_to and issue.assigned_to.id in self._overview.group_ids:
            own |= self._overview.find_group(issue.assigned_to.id)
        return rank, permissions.find_viewers(project, tracker, OWN) & own

    def _read_issues(self, numbers: Collection[int]) -> Iterator[Issue]:
        some = ",".join(map(str, numbers))
        return self._api.list_all("issues.json", "issues", Issue, issue_id=some, status_id="*", sort="id")

    def _list_issues(self) -> Iterator[Change]:
        params = {"status_id": "*", "sort": "id"}
        if self._options.files:
            params["include"] = "attachments"
        chosen = (
            [{"project_id": str(project), "subproject_id": "!*"} for project in self._overview.projects]
            if self._options.project_names
            else [{}]
        )
        for part in chosen:
            yield Progress()
            for issue in self._api.list_all("issues.json", "issues", Issue, **params, **part):
                if issue.project.id in self._overview.projects:
                    yield from self._build_issue(issue)

    def _build_issue(self, issue: Issue) -> Iterator[Change]:
        if self._options.notes:
            yield Progress()
            try:
                issue = self._read_issue(issue.id, issue.attachments)
            except NotThere:
                return
        container = f"{self._overview.projects[issue.project.id].identifier}/issues"
        text = write_issue(issue, self._options.formatting)
        yield Item(
            id=f"issue:{issue.id}",
            name=f"{issue.id}{ENDINGS[self._options.formatting]}",
            uri=f"{self._server.url}issues/{issue.id}",
            version=_digest(text),
            container=container,
            title=f"#{issue.id} {issue.subject}",
            modified=issue.updated_on,
        )
        for file in issue.attachments if self._options.files else ():
            yield self._build_file(file, f"issue:{issue.id}", container)

    def _read_issue(self, number: int, attachments: list[Attachment]) -> Issue:
        params = {"include": "journals"} if self._options.notes else {}
        found = self._api.read(f"issues/{number}.json", OneIssue, **params).issue
        return found.model_copy(update={"attachments": attachments})

    def _list_wiki(self, project: Project) -> Iterator[Change]:
        try:
            pages = self._api.read(f"projects/{project.id}/wiki/index.json", WikiIndex).wiki_pages
        except NotThere:  # the module is enabled, but there is no wiki yet
            return
        container = f"{project.identifier}/wiki"
        for page in pages:
            path = f"projects/{project.identifier}/wiki/{quote(page.title, safe='')}"
            yield Item(
                id=shorten_id(f"wiki:{project.id}:{page.title}"),
                name=f"{page.title}{ENDINGS[self._options.formatting]}",
                uri=self._server.url + path,
                version=str(page.version),
                container=container,
                title=page.title.replace("_", " "),
                modified=page.updated_on,
            )
            if self._options.files:
                yield Progress()
                for file in self._list_attached(path):
                    yield self._build_file(file, f"wiki:{project.id}", container)

    def _list_attached(self, path: str) -> list[Attachment]:
        try:
            return self._read_page(path, include="attachments").attachments
        except NotThere:
            return []

    def _read_page(self, path: str, **params: str) -> WikiPage:
        return self._api.read(f"{path}.json", OneWikiPage, **params).wiki_page

    def _list_files(self, project: Project) -> Iterator[Change]:
        for file in self._api.read(f"projects/{project.id}/files.json", Files).files:
            yield self._build_file(file, f"project:{project.id}", f"{project.identifier}/files")

    def _build_file(self, file: Attachment, owner: str, container: str) -> Item:
        return Item(
            id=f"file:{file.id}:{owner}",
            name=file.filename,
            uri=f"{self._server.url}attachments/{file.id}",
            version=_file_version(file.filesize, file.created_on),
            container=container,
            size=file.filesize,
            modified=file.created_on,
        )

    @contextmanager
    def _open_text(self, item: Item) -> Iterator[BinaryIO]:
        try:
            if item.id.startswith("issue:"):
                text = write_issue(self._read_issue(int(item.id[6:]), []), self._options.formatting)
                version = _digest(text)
            else:
                page = self._read_page(item.uri.removeprefix(self._server.url))
                text, version = page.text or "", str(page.version)
        except NotThere as error:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name)) from error
        if version != item.version:
            raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))
        yield io.BytesIO(text.encode())

    @contextmanager
    def _open_file(self, item: Item) -> Iterator[BinaryIO]:
        number = int(item.id.split(":")[1])
        with self._server.stream("GET", f"attachments/download/{number}") as response:
            if response.status_code != 200:
                raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
            yield io.BufferedReader(ItemStream(response.iter_raw(), lambda: None))

    def _sign_in(self) -> StepWarning:
        self._overview.require_admin()
        return StepWarning(self._server.encryption_warning)


def _owner(item: str) -> str:
    return item.split(":", 2)[2] if item.startswith("file:") else item


def _user(number: int) -> str:
    return f"user:{number}"


def _group(group: str, name: str, users: Collection[int]) -> SourceGroup:
    return SourceGroup(group, name, tuple(map(_user, sorted(users))))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file_version(size: int, created: datetime | None) -> str:
    return f"{size}-{created.isoformat() if created else ''}"
