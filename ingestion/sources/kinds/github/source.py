"""Issues and pull requests on GitHub, and who may read them."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
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
from ingestion.sources.json_api import NOT_THERE, RequestRefused
from ingestion.sources.kinds.github.access import AccessReader
from ingestion.sources.kinds.github.answers import Account, Issue, Repository
from ingestion.sources.kinds.github.api import VERSION_HEADERS, GitHubApi
from ingestion.sources.kinds.github.options import GitHubOptions
from ingestion.sources.kinds.github.texts import write_issue
from ingestion.sources.protocol import (
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
"""GitHub notes times in seconds: a change may follow another within the same one and leave no trace. An issue
that changed so recently is read again by the next sync."""
_RECENT: Final = "~"
_EXPIRES_SOON: Final = timedelta(days=14)
_ISSUE, _PULL_REQUEST = "issue", "pull"
_ISSUES_OFF: Final = 410


@contextmanager
def connect(options: GitHubOptions) -> Iterator["GitHubSource"]:
    """Open connections to GitHub as they are needed."""
    headers = {**VERSION_HEADERS, "Authorization": f"Bearer {options.token.get_secret_value()}"}
    with (
        open_web_server(options.api_url, headers=headers) as server,
        open_web_server(options.api_url, headers=VERSION_HEADERS) as visitor,
    ):
        server.require_encryption()
        yield GitHubSource(options, server, None if options.is_hosted else visitor)


class GitHubSource:
    """Ids of items are "issue:REPOSITORY:NUMBER" and "pull:REPOSITORY:NUMBER"."""

    def __init__(self, options: GitHubOptions, server: WebServer, visitor: WebServer | None) -> None:
        self._options, self._server, self._visitor = options, server, visitor
        self._api = GitHubApi(server)

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
        """Yield everything once a day, otherwise only recent changes."""
        return list_since(
            cursor,
            list_all=lambda: self._list_repositories(None),
            list_changed=lambda since: self._list_repositories(since - _OVERLAP),
            require_account=self._api.read_token,
        )

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open an issue or a pull request as text. One that changed since it was listed is refused."""
        number = int(item.id.rpartition(":")[2])
        try:
            issue = self._api.read_issue(item.container, number)
            has_comments = self._options.comments and issue.comments
            comments = self._api.list_comments(item.container, number) if has_comments else []
        except SourceRefused as error:
            raise _explain_refusal(error, item) from error
        latest = max((comment.updated_at for comment in comments), default=issue.updated_at)
        if self._version_of(issue, latest) != item.version.rstrip(_RECENT):
            raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))
        yield io.BytesIO(write_issue(issue, comments).encode(errors="replace"))

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item whose repository still exists. There are no permissions of single
        issues, and to ask for each whether it still exists would use up the requests that GitHub allows."""
        repositories = {str(each.id): each for each in self._find_repositories()[0]}
        reader = AccessReader(self._api, self._visitor)
        for item in items:
            kind, identity, _number = item.id.split(":", 2)
            repository = repositories.get(identity)
            if repository and (kind == _PULL_REQUEST or repository.has_issues):
                yield item.id, reader.find_access(repository)

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the groups that may read the repositories, and their people. Repositories whose readers
        aren't known have no groups, since only managers may read them."""
        self._api.read_token()
        reader = AccessReader(self._api, self._visitor)
        people: dict[int, Account] = {}
        listed = set[str]()
        for repository in self._find_repositories()[0]:
            try:
                groups = reader.list_groups(repository)
            except AccessUnknown:
                continue
            for group, name, members in groups:
                people.update((member.id, member) for member in members)
                if group not in listed:
                    listed.add(group)
                    yield SourceGroup(group, name, tuple(dict.fromkeys(each.subject for each in members)))
        for person in people.values():
            yield self._find_person(person)
        self._api.read_token()

    def _find_person(self, person: Account) -> SourcePerson:
        """Return a person with the email address and the name on the profile, which lists don't have."""
        try:
            profile = self._api.read_person(person.id)
        except RequestRefused:
            profile = person
        email = profile.email if profile.id == person.id else ""
        return SourcePerson(person.subject, profile.name or person.label, email)

    def _find_repositories(self) -> tuple[list[Repository], list[tuple[str, str]]]:
        """Return the repositories, and names and reasons of what was chosen but isn't there."""
        if not self._options.chosen:
            return self._api.list_repositories(), []
        found, missing = dict[int, Repository](), list[tuple[str, str]]()
        for name in self._options.chosen:
            code = "github_repository_missing" if "/" in name else "github_organization_missing"
            try:
                listed = self._read_chosen(name)
            except SourceRefused as error:
                if not _is_gone(error):
                    raise
                listed = None
            if listed is None:
                missing.append((name, CodedMessage(code, name=name)))
            found.update((repository.id, repository) for repository in listed or ())
        return list(found.values()), missing

    def _read_chosen(self, name: str) -> list[Repository] | None:
        """Return the repositories that a chosen name means, None if it is another's by now."""
        if "/" not in name:
            return self._api.list_repositories(name)
        repository = self._api.read_repository(name)
        return [repository] if repository.path.lower() == name.lower() else None

    def _list_repositories(self, since: datetime | None) -> Iterator[Change]:
        repositories, missing = self._find_repositories()
        for name, reason in missing:
            yield Unlisted(name, reason)
        for repository in repositories:
            yield Progress()
            try:
                yield from self._list_issues(repository, since)
            except RequestRefused as error:
                if error.status_code != _ISSUES_OFF or repository.has_issues:
                    yield Unlisted(repository.path, error.message)

    def _list_issues(self, repository: Repository, since: datetime | None) -> Iterator[Change]:
        """Yield the issues that changed, or whose comments did: whether GitHub notes the change of a comment
        as one of the issue isn't documented."""
        latest = dict[int, datetime]()
        if self._options.comments:
            for comment in self._api.list_changed_comments(repository.path, since):
                latest[comment.issue] = comment.updated_at
        for issue in self._api.list_issues(repository.path, since):
            yield from self._list_item(repository, issue, latest.pop(issue.number, issue.updated_at))
        if since:
            for number, changed in latest.items():
                try:
                    issue = self._api.read_issue(repository.path, number)
                except SourceRefused as error:
                    if not _is_gone(error):
                        raise
                    continue
                yield from self._list_item(repository, issue, changed)

    def _list_item(self, repository: Repository, issue: Issue, latest: datetime) -> Iterator[Item]:
        """Yield an issue, unless it isn't wanted. `latest` is the last change of its comments."""
        kind, folder = (_PULL_REQUEST, "pull") if issue.pull_request else (_ISSUE, "issues")
        if not (self._options.pull_requests if issue.pull_request else repository.has_issues):
            return
        modified = max(issue.updated_at, latest)
        is_recent = daily_listing.current_time() - modified < _SETTLED
        yield Item(
            id=f"{kind}:{repository.id}:{issue.number}",
            name=f"{issue.number}.md",
            uri=f"{self._options.url}{quote(repository.path)}/{folder}/{issue.number}",
            version=self._version_of(issue, latest) + (_RECENT if is_recent else ""),
            container=repository.path,
            title=f"{repository.path}#{issue.number} {issue.title}",
            modified=modified,
        )

    def _version_of(self, issue: Issue, latest: datetime) -> str:
        if not self._options.comments:
            return f"{issue.updated_at.isoformat()} -"
        return f"{max(issue.updated_at, latest).isoformat()} {issue.comments}"

    def _sign_in(self) -> StepWarning:
        self._api.read_token()
        return StepWarning(self._server.encryption_warning)

    def _check_token(self) -> StepWarning:
        """Warn if the token expires soon, or is a classic one that may write."""
        headers = self._api.read_token().headers
        expires = _read_time(headers.get("GitHub-Authentication-Token-Expiration", ""))
        if expires and expires <= daily_listing.current_time() + _EXPIRES_SOON:
            return StepWarning(CodedMessage("source_token_expires", day=f"{expires:%Y-%m-%d}"))
        is_classic = bool(headers.get("X-OAuth-Scopes"))
        return StepWarning(CodedMessage("github_token_writes") if is_classic else "")

    def _find_first(self) -> list[Item]:
        """Return the first item. Raises SourceRefused if there are no repositories, or one can't be
        listed."""
        if not self._options.chosen and not self._find_repositories()[0]:
            raise SourceRefused(CodedMessage("github_repositories_missing"))
        return find_first(self._list_repositories(None), skips_unlisted=False)

    def _require_access(self, items: Collection[Item]) -> None:
        require_known_access(self, items)
        access = [access for _item, access in self.list_access(items)]
        is_open = all(each.allows(None) for each in access)
        if not is_open:
            require_people(self, "github_people_unlisted")


def _is_gone(error: SourceRefused) -> bool:
    """Return whether something was deleted, or moved: GitHub redirects to where it is now."""
    if isinstance(error, RequestRefused):
        return error.status_code in NOT_THERE
    return isinstance(error.message, CodedMessage) and error.message.code == "source_redirects"


def _explain_refusal(error: SourceRefused, item: Item) -> SourceRefused | ItemUnavailable:
    """Return the error for an item that can't be read, and the same one if it is about the whole source."""
    if _is_gone(error):
        return ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
    if isinstance(error, RequestRefused):
        return ItemUnavailable(CodedMessage("source_item_refused", name=item.name))
    return error


def _read_time(text: str) -> datetime | None:
    """Return a time such as “2026-12-31 12:00:00 UTC” or with an offset, None if there is none."""
    try:
        return datetime.strptime(text.replace("UTC", "+0000"), "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None
