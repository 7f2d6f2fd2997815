"""REST interface of GitHub, as far as it reads."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from cairn.messages import CodedMessage
from ingestion.sources.daily_listing import TimeOrder, list_by_time
from ingestion.sources.json_api import JsonApi
from ingestion.sources.kinds.github.answers import Account, Collaborator, Comment, Issue, Repository
from ingestion.sources.protocol import SourceRefused
from ingestion.sources.web_server import Answer, WebServer, seconds_to_wait

VERSION_HEADERS: Final = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
PAGE_LENGTH: Final = 100
_MAX_LISTINGS: Final = 4
_SECOND: Final = timedelta(seconds=1)
_ISSUES: Final = TimeOrder[Issue](
    "since",
    lambda issue: issue.updated_at,
    lambda issue: (issue.number, issue.updated_at),
    "seconds",
    _SECOND,
)
_COMMENTS: Final = TimeOrder[Comment](
    "since", lambda each: each.updated_at, lambda each: (each.id, each.updated_at), "seconds", _SECOND
)

M = TypeVar("M", bound=BaseModel)


class GitHubApi(JsonApi):
    """The interface by the version of 2022-11-28. Repositories are named by their paths."""

    def __init__(self, server: WebServer) -> None:
        super().__init__(server, find_busy=find_wait)

    def read_answer(self, path: str, **params: str) -> Answer:
        """Return an answer that isn't an error. Raises RequestRefused for 4xx, and SourceRefused for lists
        that leave out organizations with single sign-on: what they have would be taken for deleted."""
        answer = super().read_answer(path, **params)
        if answer.headers.get("X-GitHub-SSO", "").startswith("partial-results"):
            raise SourceRefused(CodedMessage("github_sign_on_needed"))
        return answer

    def read_token(self) -> Answer:
        """Return an answer whose headers describe the token. Raises SourceRefused if it isn't valid."""
        try:
            answer = self.read_answer("user")
        except SourceRefused as error:
            if error.message.code != "source_sign_in_refused":  # type: ignore[attr-defined]
                raise
            raise SourceRefused(CodedMessage("source_token_invalid", server=self.server.name)) from error
        self.parse(answer, Account)
        return answer

    def read_person(self, identity: int) -> Account:
        """Return a user with the email address on the profile."""
        return self.read(f"user/{identity}", Account)

    def read_repository(self, path: str) -> Repository:
        return self.read(_repository_path(path), Repository)

    def list_repositories(self, organization: str = "") -> list[Repository]:
        """Return the repositories of an organization, or all of the account.

        The pages of a list shift when a repository is deleted meanwhile, so that another one would be missed
        and taken for deleted. So the list is read until it is the same twice.
        """
        path = f"orgs/{quote(organization, safe='')}/repos" if organization else "user/repos"
        before: list[Repository] | None = None
        for _listing in range(_MAX_LISTINGS):
            pages = list(self.list_answers(path, self.find_next, per_page=str(PAGE_LENGTH)))
            found = [row for page in pages for row in self.parse_list(page, Repository)]
            if len(pages) == 1 or found == before:
                return found
            before = found
        raise self.server.invalid("repos")

    def list_collaborators(self, path: str) -> list[Collaborator]:
        """Return all who have a role in a repository, also by teams and as owners of the organization."""
        return list(self._list(f"{_repository_path(path)}/collaborators", Collaborator, affiliation="all"))

    def list_members(self, organization: str) -> list[Account]:
        return list(self._list(f"orgs/{quote(organization, safe='')}/members", Account))

    def list_issues(self, path: str, since: datetime | None) -> Iterator[Issue]:
        """Yield the issues and pull requests of a repository that changed since a time, the oldest change
        first."""
        more = {"since": _ISSUES.format_time(since)} if since else {}
        order = {"state": "all", "sort": "updated", "direction": "asc", "per_page": str(PAGE_LENGTH)}
        return list_by_time(self, f"{_repository_path(path)}/issues", Issue, _ISSUES, **order, **more)

    def list_changed_comments(self, path: str, since: datetime | None) -> Iterator[Comment]:
        """Yield the comments on all issues of a repository that changed since a time, oldest change first."""
        more = {"since": _COMMENTS.format_time(since)} if since else {}
        order = {"sort": "updated", "direction": "asc", "per_page": str(PAGE_LENGTH)}
        address = f"{_repository_path(path)}/issues/comments"
        return list_by_time(self, address, Comment, _COMMENTS, **order, **more)

    def read_issue(self, path: str, number: int) -> Issue:
        return self.read(f"{_repository_path(path)}/issues/{number}", Issue)

    def list_comments(self, path: str, number: int) -> list[Comment]:
        """Return the comments on an issue, oldest first."""
        return list(self._list(f"{_repository_path(path)}/issues/{number}/comments", Comment))

    def _list(self, path: str, kind: type[M], **params: str) -> Iterator[M]:
        return self.list_rows(path, kind, per_page=str(PAGE_LENGTH), **params)


def find_wait(answer: Answer) -> int | None:
    """Return the seconds to wait if an answer is about the number of requests: GitHub answers with 403 not
    only if something is forbidden."""
    if answer.status != 403:
        return None
    is_used_up = answer.headers.get("X-RateLimit-Remaining") == "0"
    if is_used_up or "Retry-After" in answer.headers or b"secondary rate limit" in answer.content:
        return seconds_to_wait(answer.headers)
    return None


def _repository_path(path: str) -> str:
    return f"repos/{quote(path)}"
