"""Issues and attachments of a Jira, and who may read them."""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources import daily_listing
from ingestion.sources.atlassian import AtlassianSource, explain_refusal, open_servers
from ingestion.sources.json_api import NOT_THERE, JsonApi, RequestRefused
from ingestion.sources.kinds.jira.access import AccessReader
from ingestion.sources.kinds.jira.answers import Attachment, Comment, Issue, Person, Project
from ingestion.sources.kinds.jira.api import CONTENT_FIELDS, CloudApi, DataCenterApi
from ingestion.sources.kinds.jira.options import JiraOptions
from ingestion.sources.kinds.jira.texts import write_issue
from ingestion.sources.protocol import (
    Change,
    Item,
    ItemUnavailable,
    Progress,
    Unlisted,
)
from ingestion.sources.web_server import WebServer

_OVERLAP: Final = timedelta(days=1)
"""Jira compares minutes in the time zone of the account, and finds changes with a delay."""
_BATCH: Final = 100
_ORDER: Final = "ORDER BY created ASC, key ASC"


@contextmanager
def connect(options: JiraOptions) -> Iterator["JiraSource"]:
    """Open connections to the Jira as they are needed."""
    with open_servers(options) as (server, visitor):
        yield JiraSource(options, server, visitor)


class JiraSource(AtlassianSource):
    """Ids of items are "issue:ID" and "file:ID:ISSUE". They stay when an issue moves to another project."""

    people_unlisted = "jira_groups_unlisted"

    def __init__(self, options: JiraOptions, server: WebServer, visitor: WebServer) -> None:
        kind = CloudApi if options.edition == "cloud" else DataCenterApi
        self._options, self._api = options, kind(JsonApi(server))
        super().__init__(server, visitor, self._api.require_account)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item. A file has that of its issue."""
        reader = AccessReader(self._api, self._visitor, self._find_projects())
        numbers = list(dict.fromkeys(map(_issue_of, items)))
        found: dict[str, tuple[SourceAccess | None, frozenset[str]]] = {}
        for start in range(0, len(numbers), _BATCH):
            for issue in self._api.find_issues(numbers[start : start + _BATCH]):
                files = frozenset(f"file:{file.id}:{issue.id}" for file in issue.fields.attachments)
                found[issue.id] = reader.find_access(issue), files
        for item in items:
            access, files = found.get(_issue_of(item), (None, frozenset()))
            if access is not None and (item.id in files or item.id.startswith("issue:")):
                yield item.id, access

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield everybody who may use Jira, and the groups that its permissions name."""
        self._api.require_account()
        reader = AccessReader(self._api, self._visitor, self._find_projects())
        members = {group: self._list_members(group) for group in sorted(reader.find_groups())}
        people = {person.id: person for group in reader.user_groups for person in members[group]}
        for group, found in members.items():
            ids = dict.fromkeys(person.id for person in found)
            yield SourceGroup(group, group.removeprefix("group:"), tuple(ids))
        for person in people.values():
            yield SourcePerson(person.id, person.name or person.username or person.id, person.email or "")
        self._api.require_account()

    def _list_members(self, group: str) -> list[Person]:
        """Return the members of a group; none if it no longer exists."""
        try:
            return [one for one in self._api.list_members(group) if one.id and one.active]
        except RequestRefused as error:
            if error.status_code in NOT_THERE:
                return []
            raise

    def _find_projects(self) -> list[Project]:
        chosen = self._options.project_keys
        return [each for each in self._api.list_projects() if not chosen or each.key in chosen]

    def _list_all(self) -> Iterator[Change]:
        """Yield the issues of each project, and again those that changed meanwhile: they may have moved to a
        project that was listed before."""
        began, projects = daily_listing.current_time(), self._find_projects()
        for project in projects:
            yield Progress()
            try:
                yield from self._list_issues(f"project = {project.id}")
            except RequestRefused as error:
                yield Unlisted(project.key, error.message)
        for missing in sorted(self._options.project_keys - {project.key for project in projects}):
            yield Unlisted(missing, CodedMessage("jira_project_missing", name=missing))
        yield from self._list_changed(began, projects)

    def _list_changed(self, since: datetime, projects: Collection[Project] | None = None) -> Iterator[Change]:
        for project in self._find_projects() if projects is None else projects:
            yield Progress()
            moment = f"{since - _OVERLAP:%Y-%m-%d %H:%M}"
            try:
                yield from self._list_issues(f'project = {project.id} AND updated >= "{moment}"')
            except RequestRefused as error:
                yield Unlisted(project.key, error.message)

    def _list_issues(self, query: str) -> Iterator[Change]:
        for issue in self._api.search(f"{query} {_ORDER}", self._fields):
            text = self._write(issue)
            yield self._build_issue(issue, text)
            for file in issue.fields.attachments if self._options.files else ():
                yield self._build_file(issue, file)

    @property
    def _fields(self) -> str:
        more = [("comment", self._options.comments), ("attachment", self._options.files)]
        return ",".join([CONTENT_FIELDS, *(name for name, is_taken in more if is_taken)])

    def _write(self, issue: Issue) -> str:
        """Return an issue as a document. Its digest is its version: Jira has none that stays when an issue
        only moves, or gets another security level."""
        if issue.rendered is None:
            raise self._server.invalid("renderedFields")
        return write_issue(issue, self._find_comments(issue), self._server.url)

    def _find_comments(self, issue: Issue) -> list[Comment]:
        """Return all comments with their texts. The answer about the issue may have only some of them."""
        if not self._options.comments:
            return []
        found, rendered = issue.fields.comment, issue.rendered
        if found is None or rendered is None:
            raise self._server.invalid("comment")
        texts = {comment.id: comment.body for comment in rendered.comment.comments}
        if len(found.comments) < found.total or any(comment.id not in texts for comment in found.comments):
            return self._api.list_comments(issue.id)
        return [each.model_copy(update={"rendered": texts[each.id]}) for each in found.comments]

    def _build_issue(self, issue: Issue, text: str) -> Item:
        return Item(
            id=f"issue:{issue.id}",
            name=f"{issue.id}.html",
            uri=f"{self._server.url}browse/{issue.key}",
            version=_digest(text),
            container=issue.fields.project.key,
            title=f"{issue.key} {issue.fields.summary}",
            modified=issue.fields.updated,
        )

    def _build_file(self, issue: Issue, file: Attachment) -> Item:
        return Item(
            id=f"file:{file.id}:{issue.id}",
            name=file.filename,
            uri=f"{self._server.url}browse/{issue.key}#attachment-{file.id}",
            version=f"{file.size}-{file.created.isoformat() if file.created else ''}",
            container=issue.fields.project.key,
            size=file.size,
            modified=file.created,
        )

    @contextmanager
    def _open_document(self, item: Item) -> Iterator[BinaryIO]:
        try:
            text = self._write(self._api.read_issue(_issue_of(item), self._fields))
        except RequestRefused as error:
            raise explain_refusal(item, error.status_code) from error
        if _digest(text) != item.version:
            raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))
        yield io.BytesIO(text.encode())

    def _find_path(self, item: Item) -> str:
        return self._api.file_path(item.id.split(":")[1], item.name)


def _issue_of(item: Item) -> str:
    return item.id.rpartition(":")[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
