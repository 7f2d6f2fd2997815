"""REST interface of GitLab, as far as it reads."""

from collections.abc import Collection, Iterator
from typing import Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from cairn.messages import CodedMessage
from ingestion.sources.daily_listing import TimeOrder, list_by_time
from ingestion.sources.json_api import JsonApi, wait_while_busy
from ingestion.sources.kinds.gitlab.answers import (
    Issue,
    Member,
    Note,
    Project,
    Token,
    User,
    WikiPage,
)
from ingestion.sources.protocol import SourceRefused

ROOT: Final = "api/v4"
PAGE_LENGTH: Final = 100
SCOPES: Final = frozenset(("read_api", "api"))
"""Scopes that allow reading everything the account sees. One is enough."""

BY_CREATION: Final = TimeOrder[Issue](
    "created_after", lambda issue: issue.created_at, lambda issue: issue.iid
)

M = TypeVar("M", bound=BaseModel)


class ListIncomplete(SourceRefused):
    """GitLab lists fewer members of a project than it counts."""


class GitLabApi(JsonApi):
    """Version 4 of the interface."""

    def read_token(self) -> Token:
        """Return the token. Raises SourceRefused if it isn't valid."""
        try:
            token = self.read(f"{ROOT}/personal_access_tokens/self", Token)
        except SourceRefused as error:
            if error.message.code != "source_sign_in_refused":  # type: ignore[attr-defined]
                raise
            raise self._refuse_token() from error
        if not token.active:
            raise self._refuse_token()
        return token

    def lists_users(self) -> bool:
        """Return whether GitLab shows all users as administrators see them."""
        if not self.read(f"{ROOT}/user", User).is_admin:
            return False
        first = self.parse_list(self.read_answer(f"{ROOT}/users", per_page="1"), User)
        return bool(first) and first[0].external is not None

    def list_users(self) -> Iterator[User]:
        keyset = {"pagination": "keyset", "order_by": "id", "sort": "asc"}
        return self._list(f"{ROOT}/users", User, active="true", **keyset)

    def read_project(self, path: str) -> Project:
        return self.read(f"{ROOT}/projects/{quote(path, safe='')}", Project)

    def list_projects(self) -> Iterator[Project]:
        """Yield the projects that the account is a member of."""
        keyset = {"pagination": "keyset", "order_by": "id", "sort": "asc"}
        return self._list(f"{ROOT}/projects", Project, membership="true", **keyset)

    def list_members(self, project: Project) -> list[Member]:
        """Return all members, also those through groups, with their highest role. Raises ListIncomplete."""
        found, total = list[Member](), 0
        path = f"{ROOT}/projects/{project.id}/members/all"
        for answer in self.list_answers(path, self.find_next, per_page=str(PAGE_LENGTH)):
            found += self.parse_list(answer, Member)
            count = answer.headers.get("X-Total", "")
            total = max(total, int(count) if count.isascii() and count.isdecimal() else 0)
        if len(found) < total:
            raise ListIncomplete(CodedMessage("gitlab_members_incomplete", project=project.path))
        return found

    def list_issues(self, project: Project, **bounds: str) -> Iterator[Issue]:
        """Yield issues, oldest first."""
        order = {"scope": "all", "order_by": "created_at", "sort": "asc", "per_page": str(PAGE_LENGTH)}
        path = f"{ROOT}/projects/{project.id}/issues"
        return list_by_time(self, path, Issue, BY_CREATION, **order, **bounds)

    def find_issues(self, project: int, numbers: Collection[int]) -> list[Issue]:
        """Return which of these issues of a project exist, at most a hundred."""
        path = f"{ROOT}/projects/{project}/issues"
        iids = list(map(str, numbers))
        params: dict[str, str | list[str]] = {"scope": "all", "per_page": str(PAGE_LENGTH), "iids[]": iids}
        answer = wait_while_busy(lambda: self._require(path, self.server.get(path, params)))
        return self.parse_list(answer, Issue)

    def read_issue(self, project: int, number: int) -> Issue:
        return self.read(f"{ROOT}/projects/{project}/issues/{number}", Issue)

    def list_notes(self, project: int, number: int) -> Iterator[Note]:
        """Yield the comments on an issue, oldest first."""
        path = f"{ROOT}/projects/{project}/issues/{number}/notes"
        return self._list(path, Note, order_by="created_at", sort="asc")

    def list_wiki(self, project: int, *, with_content: bool = False) -> Iterator[WikiPage]:
        more = {"with_content": "1"} if with_content else {}
        return self._list(f"{ROOT}/projects/{project}/wikis", WikiPage, **more)

    def read_wiki_page(self, project: int, slug: str) -> WikiPage:
        return self.read(f"{ROOT}/projects/{project}/wikis/{quote(slug, safe='')}", WikiPage)

    def _list(self, path: str, kind: type[M], **params: str) -> Iterator[M]:
        return self.list_rows(path, kind, per_page=str(PAGE_LENGTH), **params)

    def _refuse_token(self) -> SourceRefused:
        return SourceRefused(CodedMessage("source_token_invalid", server=self.server.name))
