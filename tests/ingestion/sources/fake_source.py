"""A kind of source for tests: files in memory, with faults that a test asks for."""

import io
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from pydantic import Field, SecretStr

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    SourceKind,
    SourceOptions,
    SourceRefused,
    Unlisted,
)

KIND: Final = "fake"
PATH: Final = "tests.ingestion.sources.fake_source.FAKE"


class FakeOptions(SourceOptions):
    host: str = Field(title="Server", description="Name of the server", min_length=1)
    folder: str = Field("", title="Folder", description="Folder to sync")
    password: SecretStr = Field(title="Password", description="Password of the account")
    token: SecretStr = Field(SecretStr(""), title="Token", description="Another way to sign in")


NOBODY: Final = SourceAccess()


@dataclass(slots=True)
class FakeFile:
    item: Item
    content: bytes
    access: SourceAccess = NOBODY


@dataclass(slots=True)
class FakeServer:
    """The state of the server. `opened` and `listed` record what Cairn read.

    `before_listing`, `before_change` and `before_end` are called during a listing, and may raise. `reading`
    is called while a file is open, and `asking` before who may read it is returned.
    """

    files: dict[str, FakeFile] = field(default_factory=dict)
    people: list[SourcePerson | SourceGroup] = field(default_factory=list)
    password: str = "secret"
    encrypted: bool = True
    unlisted: dict[str, str] = field(default_factory=dict)
    changes: Callable[[str], Iterator[Change]] | None = None
    before_listing: Callable[[], None] = lambda: None
    before_change: Callable[[int], None] = lambda _number: None
    before_end: Callable[[], None] = lambda: None
    reading: Callable[[Item], None] = lambda _item: None
    leaving: Callable[[Item], None] = lambda _item: None
    checking: Callable[[], None] = lambda: None
    asking: Callable[[Item], None] = lambda _item: None
    writes: int = 0
    opened: list[str] = field(default_factory=list)
    asked_access: list[str] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)

    def put(self, path: str, text: str = "", **changes: Any) -> Item:
        """Write a file. Its version counts up with each write."""
        content = (text or f"Rules of {path}.").encode()
        before = self.files.get(path)
        self.writes += 1
        folder, _, name = path.rpartition("/")
        item = Item(path, name, f"fake://{path}", f"v{self.writes}", container=folder, size=len(content))
        access = before.access if before else NOBODY
        if "access" in changes:
            access = changes.pop("access")
        self.files[path] = FakeFile(replace(item, **changes), content, access)
        return self.files[path].item

    def rename(self, identity: str, path: str) -> None:
        """Move or rename a file, which keeps its id and version."""
        folder, _, name = path.rpartition("/")
        file = self.files[identity]
        file.item = replace(file.item, name=name, container=folder, uri=f"fake://{path}")


SERVERS: Final[dict[str, FakeServer]] = {}
"""The servers of a test, by host."""


class FakeConnection:
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def check(self) -> Iterator[CheckStep]:
        warning = "" if self._server.encrypted else "The connection isn’t encrypted."
        yield CheckStep("Sign in", warning=warning)
        self._server.checking()
        yield CheckStep("List", f"{len(self._server.files)} files")

    def list_changes(self, cursor: str) -> Iterator[Change]:
        server = self._server
        server.cursors.append(cursor)
        server.before_listing()
        listed = server.changes(cursor) if server.changes else self._list_everything()
        for number, change in enumerate(listed):
            server.before_change(number)
            yield change
        server.before_end()

    def _list_everything(self) -> Iterator[Change]:
        for container, reason in self._server.unlisted.items():
            yield Unlisted(container, reason)
        for file in list(self._server.files.values()):
            if not any(_is_in(file.item.container, container) for container in self._server.unlisted):
                yield file.item
        yield Complete("end")

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        return self._open(item)

    @contextmanager
    def _open(self, item: Item) -> Iterator[BinaryIO]:
        if item.id not in self._server.files:
            raise ItemUnavailable("It is gone.")
        self._server.opened.append(item.id)
        self._server.reading(item)
        yield io.BytesIO(self._server.files[item.id].content)
        self._server.leaving(item)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        for item in items:
            self._server.asked_access.append(item.id)
            self._server.asking(item)
            if item.id in self._server.files:
                yield item.id, self._server.files[item.id].access

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        yield from self._server.people


def _is_in(container: str, outer: str) -> bool:
    return outer in ("", container) or container.startswith(f"{outer}/")


@contextmanager
def _connect(options: FakeOptions) -> Iterator[FakeConnection]:
    server = SERVERS[options.host]
    if options.password.get_secret_value() != server.password:
        raise SourceRefused("Wrong password.")
    yield FakeConnection(server)


FAKE: Final = SourceKind(
    KIND, "Fake", "Files in memory", FakeOptions, _connect, has_access=True, has_people=True
)
