"""Walk the files of a local folder without following links out of it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from cairn.errors import InvalidInput
from cairn.messages import CodedMessage
from cairn.settings import environment

_DEEPEST: Final = 100
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A regular file in a walked folder.

    `folder` is an open descriptor, valid until the walk yields the next file. `source_uri` begins with the
    name of the walked folder.
    """

    name: str
    source_uri: str
    size: int
    mtime_ns: int
    folder: int

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file for reading. Raises OSError, also if a link has replaced the file."""
        with os.fdopen(os.open(self.name, _READ, dir_fd=self.folder), "rb") as stream:
            yield stream


@dataclass(slots=True)
class FolderWalk:
    """An iterable over the files below `root`; its counts are complete after one iteration.

    `unreadable` has (source_uri, reason) pairs, `empty` the folders without any entry, such as the mount
    point of a missing disk. Links to files and folders are not followed: people who may write into the
    folder must not be able to show Cairn files outside it.
    """

    root: Path
    links: int = 0
    hidden: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[FolderFile]:
        yield from self._enter(str(self.root), None, self.root.name, 0)

    def _enter(self, name: str, within: int | None, uri: str, depth: int) -> Iterator[FolderFile]:
        try:
            if depth > _DEEPEST:
                raise OSError(errno.ELOOP, "Nested too deeply")
            descriptor = os.open(name, _READ | os.O_DIRECTORY, dir_fd=within)
        except OSError as error:
            self._note(uri, error)
            return
        try:
            names = self._names(descriptor, uri)
            yield from (file for each in names for file in self._visit(each, descriptor, uri, depth))
        finally:
            os.close(descriptor)

    def _names(self, descriptor: int, uri: str) -> list[str]:
        try:
            names = sorted(os.listdir(descriptor))
        except OSError as error:
            self._note(uri, error)
            return []
        if not names:
            self.empty.append(readable_name(uri))
        shown = [name for name in names if not is_hidden(name)]
        self.hidden += len(names) - len(shown)
        return shown

    def _visit(self, name: str, descriptor: int, under: str, depth: int) -> Iterator[FolderFile]:
        uri = f"{under}/{name}"
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            self._note(uri, error)
            return
        if stat.S_ISLNK(status.st_mode):
            self.links += 1
        elif stat.S_ISDIR(status.st_mode):
            yield from self._enter(name, descriptor, uri, depth + 1)
        elif stat.S_ISREG(status.st_mode):
            yield FolderFile(name, readable_name(uri), status.st_size, status.st_mtime_ns, descriptor)

    def _note(self, uri: str, error: OSError) -> None:
        self.unreadable.append((readable_name(uri), error.strerror or str(error)))


def watchable(path: str) -> Path:
    """Return the resolved folder. Raises InvalidInput unless it is under WATCH_ROOTS with links resolved."""
    roots = [root.resolve() for root in environment().watch_roots]
    if not roots:
        raise InvalidInput(CodedMessage("watch_roots_unset"))
    folder = Path(path)
    if not folder.is_absolute():
        raise InvalidInput(CodedMessage("watch_path_relative"))
    try:
        real = folder.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        real = None
    # The same error for a folder outside and a missing one, so that this can't be used to explore the disk.
    if real is None or not real.is_dir() or not any(real.is_relative_to(root) for root in roots):
        allowed = ", ".join(map(str, roots))
        raise InvalidInput(CodedMessage("watch_path_unknown", allowed=allowed))
    return real


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def readable_name(name: str) -> str:
    """Decode a file name, replacing bytes that are not valid UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
