"""Files, folders and ZIP archives given on the command line."""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO

from cairn.errors import DocumentRejected, InvalidInput, Rejection
from ingestion.watch_folders.filesystem import is_hidden, readable_name

MAX_MEMBERS = 20_000
MAX_ARCHIVE_BYTES = 8 << 30
MAX_MEMBER_BYTES = 1 << 30
_BLOCK = 1 << 20
_ENCRYPTED = 0x1


@dataclass(slots=True)
class Archive:
    """A ZIP archive. Declared sizes are not trusted: bytes are counted while reading."""

    path: Path
    taken: int = 0

    @contextmanager
    def open(self, member: str) -> Iterator[IO[bytes]]:
        """Open a member. Raises DocumentRejected if it cannot be extracted."""
        with SpooledTemporaryFile(max_size=8 * _BLOCK) as unpacked:
            self._unpack(member, unpacked)
            unpacked.seek(0)
            yield unpacked

    def _unpack(self, member: str, unpacked: IO[bytes]) -> None:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as packed:
                self._copy(packed, unpacked)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
            raise _damaged(self.path) from error

    def _copy(self, packed: IO[bytes], unpacked: IO[bytes]) -> None:
        size = 0
        while block := packed.read(_BLOCK):
            size += len(block)
            self.taken += len(block)
            if size > MAX_MEMBER_BYTES or self.taken > MAX_ARCHIVE_BYTES:
                raise _unsafe(f"{self.path.name} unpacks to more data than a legitimate archive would.")
            unpacked.write(block)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file, or a `member` of an `archive`. `size` is the declared size in bytes."""

    path: Path
    source_uri: str
    archive: Archive | None = None
    member: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        return PurePosixPath(self.source_uri).name

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file. Raises DocumentRejected for archive members, OSError for other files."""
        if self.archive is None:
            with self.path.open("rb") as stream:
                yield stream
        else:
            with self.archive.open(self.member) as stream:
                yield stream


@dataclass(slots=True)
class LocalFiles:
    """Files found. `hidden` counts skipped dot files; `rejected` has source_uri and reason.

    `roots` are the prefixes of the sources of each folder, archive or file. Sources below `unknown` could not
    be read, so they have not vanished. `empty` folders have no entries, such as mount points of missing
    disks.
    """

    files: list[LocalFile] = field(default_factory=list)
    hidden: int = 0
    rejected: list[tuple[str, DocumentRejected]] = field(default_factory=list)
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def find_files(paths: Iterable[Path]) -> LocalFiles:
    """Find files. Raises InvalidInput for missing paths, or two files with the same source_uri."""
    found = LocalFiles()
    for path in paths:
        if path.is_dir():
            _add_folder(found, path.resolve())
        elif path.is_file():
            name = readable_name(path.name)
            found.roots.append(_beginning(path, name) if _is_archive(path) else name)
            _add_file(found, path, name)
        else:
            raise InvalidInput(f"{path}: no such file or folder.")
    _require_distinct(found.files)
    return found


def _add_folder(found: LocalFiles, folder: Path) -> None:
    def unreadable(error: OSError) -> None:
        uri = _uri(folder, Path(error.filename))
        found.unreadable.append((uri, error))
        found.unknown.append(f"{uri}/")

    found.roots.append(f"{readable_name(folder.name)}/")
    for at, folders, names in os.walk(folder, onerror=unreadable):
        if not folders and not names:
            found.empty.append(f"{_uri(folder, Path(at))}/")
        found.hidden += sum(map(is_hidden, (*folders, *names)))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for path in (Path(at, name) for name in sorted(names) if not is_hidden(name)):
            if path.is_file():
                _add_file(found, path, _uri(folder, path))
            elif path.is_symlink() and not path.exists():  # the disk that it leads to may only be away
                found.unknown.append(_beginning(path, _uri(folder, path)))


def _uri(folder: Path, path: Path) -> str:
    return readable_name(path.relative_to(folder.parent).as_posix())


def _beginning(path: Path, source_uri: str) -> str:
    """Return the source prefix of a file; an archive is like a folder of the same name."""
    return f"{source_uri[: -len(path.suffix)] if _is_archive(path) else source_uri}/"


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _add_file(found: LocalFiles, path: Path, source_uri: str) -> None:
    if not _is_archive(path):
        found.files.append(LocalFile(path, source_uri, size=_size(path)))
        return
    try:
        _add_archive(found, path, source_uri[: -len(path.suffix)])
    except DocumentRejected as rejection:
        found.rejected.append((source_uri, rejection))
        found.unknown.append(_beginning(path, source_uri))


def _size(path: Path) -> int:
    """Return the size; 0 if unknown, as reading the file reports the error."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _add_archive(found: LocalFiles, path: Path, folder: str) -> None:
    """Add members. An unsafe name rejects the whole archive, encryption only the member."""
    archive = Archive(path)
    members = _members(path)
    hidden = [member for member in members if _has_hidden_part(PurePosixPath(member.filename).parts)]
    shown = [member for member in members if member not in hidden]
    found.hidden += len(hidden)
    for member in shown:
        uri = f"{folder}/{PurePosixPath(member.filename)}"
        if member.flag_bits & _ENCRYPTED:
            found.rejected.append((uri, _protected(member)))
            found.unknown.append(f"{uri}/")
        else:
            found.files.append(LocalFile(path, uri, archive, member.filename, member.file_size))


def _members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _damaged(path) from error
    if len(members) > MAX_MEMBERS:
        raise _unsafe(f"{path.name} contains {len(members)} files; the limit is {MAX_MEMBERS} per archive.")
    for member in members:
        _check_member(path, member)
    return members


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
        raise _unsafe(f"“{member.filename}” points outside {path.name}, so the archive was skipped.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _unsafe(f"“{member.filename}” in {path.name} is a link, so the archive was skipped.")


def _protected(member: zipfile.ZipInfo) -> DocumentRejected:
    return DocumentRejected(
        Rejection.PASSWORD_PROTECTED,
        f"“{member.filename}” is password-protected. Unpack the archive and add its files.",
    )


def _unsafe(message: str) -> DocumentRejected:
    return DocumentRejected(Rejection.ARCHIVE_UNSAFE, message)


def _damaged(path: Path) -> DocumentRejected:
    return DocumentRejected(Rejection.DAMAGED_FILE, f"{path.name} isn't a valid ZIP archive.")


def _require_distinct(files: list[LocalFile]) -> None:
    twice = [uri for uri, count in Counter(file.source_uri for file in files).items() if count > 1]
    if twice:
        raise InvalidInput(
            f"Two files would have the same name “{twice[0]}”. Add their folders one at a time."
        )


def _has_hidden_part(parts: tuple[str, ...]) -> bool:
    return any(map(is_hidden, parts))
