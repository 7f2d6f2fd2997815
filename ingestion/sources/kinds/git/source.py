"""The newest commit of a branch, fetched without its history into a temporary folder."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final
from urllib.parse import quote

import httpx
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import HEADREF, LOCAL_BRANCH_PREFIX, Ref
from dulwich.repo import Repo

from cairn.messages import CodedMessage
from ingestion.sources.check_steps import StepWarning, find_first, run_steps
from ingestion.sources.item_streams import shorten_id
from ingestion.sources.kinds.git.client import GuardedGitClient
from ingestion.sources.kinds.git.options import GitOptions
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
    WithoutAccess,
    describe_error,
)
from ingestion.sources.web_server import WebServer, open_web_server

_PROGRESS_EVERY: Final = 1000  # files


@contextmanager
def connect(options: GitOptions) -> Iterator["GitSource"]:
    """Open connections to the server as they are needed."""
    password = options.password.get_secret_value()
    auth = httpx.BasicAuth(options.username, password) if options.username or password else None
    with (
        open_web_server(options.url, auth=auth) as server,
        TemporaryDirectory(prefix="cairn-git-") as folder,
        Repo.init_bare(folder) as repository,
    ):
        yield GitSource(options, server, repository)


class GitSource(WithoutAccess):
    """A branch of a repository. `repository` has its objects while the connection is open."""

    def __init__(self, options: GitOptions, server: WebServer, repository: Repo) -> None:
        self._options, self._server = options, server
        self._client = GuardedGitClient(server)
        self._repository = repository
        self._fetched: ObjectID | None = None

    def check(self) -> Iterator[CheckStep]:
        """Test the connection, the branch, and the first file."""
        yield from run_steps(
            ("source_step_connect", self._connect), ("source_step_list", self._describe_first)
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield all files, or nothing if the branch is still at the commit of the cursor."""
        self._server.require_encryption()
        commit = self._find_commit()
        place = f"{self._options.folder}\n{self._options.page_url}".encode()
        now = f"{commit.decode()} {hashlib.sha256(place).hexdigest()}"
        if cursor == now:
            yield Complete(cursor, full=False)
            return
        yield Progress()
        for number, item in enumerate(self._list_items(commit)):
            if number % _PROGRESS_EVERY == 0:
                yield Progress()
            yield item
        yield Complete(now)

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open a file as it was listed. Raises ItemUnavailable if the branch no longer has this version."""
        if self._fetched is None:
            self._fetch(self._find_commit())
        try:
            blob = self._repository[item.version.encode()]
        except (KeyError, ValueError) as error:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name)) from error
        if not isinstance(blob, Blob):
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        return nullcontext(io.BytesIO(blob.data))

    def _connect(self) -> StepWarning:
        self._server.require_encryption()
        self._find_commit()
        return StepWarning(self._server.encryption_warning)

    def _describe_first(self) -> str:
        items = find_first(self._list_items(self._find_commit()))
        return items[0].uri if items else CodedMessage("source_nothing_to_read")

    def _find_commit(self) -> ObjectID:
        """Return the newest commit of the branch."""
        with _explain(self._server):
            found = self._client.get_refs(b"")
        branch = self._options.branch
        name = Ref(LOCAL_BRANCH_PREFIX + branch.encode()) if branch else HEADREF
        commit = found.refs.get(name)
        if commit is None:
            named = branch or "HEAD"
            raise SourceRefused(CodedMessage("source_branch_missing", server=self._server.name, name=named))
        return commit

    def _fetch(self, commit: ObjectID) -> None:
        if self._fetched != commit:
            with _explain(self._server):
                self._client.fetch(b"", self._repository, _SingleCommit(commit), depth=1)
            self._fetched = commit

    def _list_items(self, commit: ObjectID) -> Iterator[Item]:
        """Yield the regular files. Links, and other repositories inside, are left out."""
        self._fetch(commit)
        row = self._repository[commit]
        if not isinstance(row, Commit):
            raise self._server.invalid("no commit")
        prefix = f"{self._options.folder}/".encode() if self._options.folder else b""
        for entry in iter_tree_contents(self._repository.object_store, row.tree):
            if S_ISREG(entry.mode) and entry.path.startswith(prefix):
                yield self._build_item(entry.path, entry.sha)

    def _build_item(self, path: bytes, blob: ObjectID) -> Item:
        text = PurePosixPath(path.decode("utf-8", "backslashreplace"))
        template = self._options.page_url
        container = "" if str(text.parent) == "." else str(text.parent)
        return Item(
            id=shorten_id(quote(path)),
            name=text.name,
            uri=template.replace("{path}", quote(path)) if template else str(text),
            version=blob.decode(),
            container=container,
        )


@dataclass(frozen=True, slots=True)
class _SingleCommit:
    """Choose what to fetch: one commit, whatever else the server offers."""

    commit: ObjectID

    def __call__(self, refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG002
        return [self.commit]


@contextmanager
def _explain(server: WebServer) -> Iterator[None]:
    """Raise errors of the protocol as those of sources."""
    try:
        yield
    except NotGitRepository as error:
        raise SourceRefused(CodedMessage("source_no_repository", server=server.name)) from error
    except httpx.HTTPError as error:
        reason = describe_error(error)
        message = CodedMessage("source_interrupted", server=server.name, reason=reason)
        raise SourceUnavailable(message) from error
    except (GitProtocolError, ValueError, KeyError, AssertionError, OSError) as error:
        raise server.invalid(f"{type(error).__name__}: {error}") from error
