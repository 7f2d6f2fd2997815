"""A folder of a server over SFTP, listed folder by folder."""

import errno
import io
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import BinaryIO, Final

import paramiko

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson, simplify_levels
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import find_first, run_steps
from ingestion.sources.item_streams import ItemStream, shorten_id
from ingestion.sources.kinds.sftp.accounts import list_accounts
from ingestion.sources.kinds.sftp.connection import SshConnection, open_connection
from ingestion.sources.kinds.sftp.options import Permissions, SftpOptions
from ingestion.sources.kinds.sftp.permissions import (
    READ,
    SEARCH,
    PosixAccess,
    access_of_mode,
    build_level,
    parse_getfacl,
)
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    Progress,
    SourceRefused,
    Unlisted,
)

MAX_DEPTH: Final = 100
MAX_FOLDERS: Final = 200_000
MAX_ENTRIES: Final = 2_000_000
_PROGRESS_ENTRIES: Final = 1000
_BATCH: Final = 100
_PIECE: Final = 1 << 15
_GETFACL: Final = "getfacl --numeric --absolute-names --no-effective -"
_MAX_ACCOUNTS_BYTES: Final = 32_000_000


@contextmanager
def connect(options: SftpOptions) -> Iterator["SftpSource"]:
    """Connect and sign in."""
    with open_connection(options) as connection:
        yield SftpSource(options, connection)


class SftpSource:
    """Ids of items are their paths on the server; SFTP has no others."""

    def __init__(self, options: SftpOptions, connection: SshConnection) -> None:
        self._options, self._connection = options, connection
        self._sftp = connection.sftp
        port = "" if options.port == 22 else f":{options.port}"
        self._prefix = f"sftp://{options.host}{port}"
        self._normalized = ""

    def check(self) -> Iterator[CheckStep]:
        """Test the listing, the first file, and the permissions. The connection is made, and signed in."""
        yield CheckStep(CodedMessage("source_step_sign_in"))
        first: list[Item] = []
        yield from run_steps(
            ("source_step_list", lambda: first.extend(find_first(self.list_changes("")))),
            ("source_step_read", lambda: self._read_first(first)),
            ("source_step_access", self._check_permissions),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # SFTP has no cursors
        """Yield all files. A folder that can't be listed is reported, and the others are listed."""
        root = self._root()
        waiting, seen = [root], 0
        while waiting:
            folder = waiting.pop()
            seen += 1
            if seen > MAX_FOLDERS:
                raise SourceRefused(CodedMessage("source_answer_endless", server=self._connection.server))
            try:
                for entry in self._list_folder(folder):
                    if isinstance(entry, Item | Progress):
                        yield entry
                    else:
                        waiting.append(entry)
            except _FolderFailed as error:
                if folder == root:
                    raise
                yield Unlisted(self._container(folder), error.message)
        yield Complete()

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield who may search all folders on the way to a file, and read the file.

        The access is outdated if another file has replaced the listed one, or if that was changed.
        """
        paths = {item.id: self._path_of(item) for item in items}
        versions = {item.id: item.version for item in items}
        chains = {path: [*map(str, reversed(PurePosixPath(path).parents)), path] for path in paths.values()}
        needed = sorted({each for chain in chains.values() for each in chain})
        found = dict(self._read_permissions(needed))
        for identity, path in paths.items():
            unknown = next((each for each in chains[path] if each not in found), None)
            if unknown is not None:
                message = CodedMessage("sftp_permissions_unknown", name=unknown)
                yield identity, SourceAccess(unknown=message)
                continue
            *folders, file = (found[each] for each in chains[path])
            levels = [*(build_level(folder, SEARCH) for folder in folders), build_level(file, READ)]
            outdated = versions[identity] != self._read_version(path)
            yield identity, SourceAccess(simplify_levels(levels), outdated=outdated)

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the users and groups that the server knows."""
        yield from list_accounts(self._read_accounts("passwd"), self._read_accounts("group"))

    def _root(self) -> str:
        """Return the folder without symbolic links in its path."""
        if not self._normalized:
            try:
                with self._connection.translating():
                    self._normalized = self._sftp.normalize(self._options.folder)
            except OSError as error:
                raise self._fail(self._options.folder, error) from error
        return self._normalized

    def _list_folder(self, folder: str) -> Iterator[Item | Progress | str]:
        """Yield the files in a folder, and the paths of folders."""
        yield Progress()
        if folder.count("/") > MAX_DEPTH:
            message = CodedMessage("source_folder_deep", name=folder, limit=MAX_DEPTH)
            raise _FolderFailed(message)
        try:
            with self._connection.translating():
                for count, entry in enumerate(self._sftp.listdir_iter(folder)):
                    if count % _PROGRESS_ENTRIES == 0:
                        self._require_end(count)
                        yield Progress()
                    if found := self._classify(folder, entry):
                        yield found
        except OSError as error:
            raise self._fail(folder, error) from error
        except UnicodeDecodeError as error:
            raise _FolderFailed(CodedMessage("sftp_names_invalid", name=folder)) from error

    def _require_end(self, count: int) -> None:
        if count > MAX_ENTRIES:
            raise _FolderFailed(CodedMessage("source_answer_endless", server=self._connection.server))

    def _classify(self, folder: str, entry: paramiko.SFTPAttributes) -> Item | str | None:
        """Return the item of a file, the path of a folder, and None for links, devices and the like."""
        if "/" in entry.filename or entry.filename in {"", ".", ".."} or entry.st_mode is None:
            return None
        path = str(PurePosixPath(folder, entry.filename))
        if stat.S_ISDIR(entry.st_mode):
            return path
        return self._build_item(folder, path, entry) if stat.S_ISREG(entry.st_mode) else None

    def _fail(self, folder: str, error: OSError) -> "_FolderFailed":
        if error.errno == errno.EACCES:
            return _FolderFailed(CodedMessage("source_folder_refused", name=folder))
        if error.errno == errno.ENOENT:
            server = self._connection.server
            return _FolderFailed(CodedMessage("source_folder_missing", server=server, name=folder))
        return _FolderFailed(CodedMessage("source_folder_failed", name=folder, reason=str(error)))

    def _container(self, folder: str) -> str:
        return folder.removeprefix(self._root()).strip("/")

    def _build_item(self, folder: str, path: str, entry: paramiko.SFTPAttributes) -> Item:
        modified = datetime.fromtimestamp(entry.st_mtime, UTC) if entry.st_mtime is not None else None
        return Item(
            id=shorten_id(path),
            name=PurePosixPath(path).name,
            uri=self._prefix + path,
            version=_version(entry),
            container=self._container(folder),
            size=entry.st_size,
            modified=modified,
        )

    def _path_of(self, item: Item) -> str:
        return item.uri.removeprefix(self._prefix)

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a file, which must be the one that was listed when it is opened and when it ends."""
        path = self._path_of(item)
        if not item.uri.startswith(self._prefix) or not path.startswith(f"{self._root().rstrip('/')}/"):
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        with self._open_file(item, path) as file:
            pieces = self._read_pieces(item, file)
            yield io.BufferedReader(ItemStream(pieces, lambda: self._require_unchanged(item, file)))

    def _open_file(self, item: Item, path: str) -> paramiko.SFTPFile:
        try:
            with self._connection.translating():
                if not stat.S_ISREG(self._sftp.lstat(path).st_mode or 0):
                    raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
                file = self._sftp.open(path, "rb")
        except OSError as error:
            raise _explain(item, error) from error
        self._require_unchanged(item, file)
        return file

    def _require_unchanged(self, item: Item, file: paramiko.SFTPFile) -> None:
        try:
            with self._connection.translating():
                found = file.stat()
        except OSError as error:
            raise _explain(item, error) from error
        if _version(found) != item.version:
            raise ItemChanged(CodedMessage("source_item_changed"))

    def _read_pieces(self, item: Item, file: paramiko.SFTPFile) -> Iterator[bytes]:
        try:
            with self._connection.translating():
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise _explain(item, error) from error

    def _read_permissions(self, paths: Sequence[str]) -> Iterator[tuple[str, PosixAccess]]:
        """Yield the permissions of these files and folders, as far as they can be read."""
        if self._options.permissions == Permissions.MODES:
            return self._read_modes(paths)
        return self._read_access_lists(paths)

    def _read_version(self, path: str) -> str:
        """Return the version of the file at the path now, "" if that can't be read."""
        try:
            with self._connection.translating():
                return _version(self._sftp.lstat(path))
        except OSError:
            return ""

    def _read_modes(self, paths: Sequence[str]) -> Iterator[tuple[str, PosixAccess]]:
        for path in paths:
            try:
                with self._connection.translating():
                    found = self._sftp.lstat(path)
            except OSError:
                continue
            if found.st_mode is not None and found.st_uid is not None and found.st_gid is not None:
                yield path, access_of_mode(found.st_mode, found.st_uid, found.st_gid)

    def _read_access_lists(self, paths: Sequence[str]) -> Iterator[tuple[str, PosixAccess]]:
        """Yield what getfacl reports. It reads one path per line, so paths that span lines are left out."""
        for start in range(0, len(paths), _BATCH):
            asked = {path.encode(): path for path in paths[start : start + _BATCH]}
            with self._connection.translating():
                _status, output = self._connection.run(_GETFACL, b"".join(path + b"\n" for path in asked))
            for path, access in parse_getfacl(output):
                if path in asked:
                    yield asked[path], access

    def _read_accounts(self, name: str) -> str:
        try:
            with self._connection.translating():
                status, output = self._connection.run(f"getent {name}")
                if status != 0 or not output:
                    with self._sftp.open(f"/etc/{name}", "rb") as file:
                        output = file.read(_MAX_ACCOUNTS_BYTES)
        except OSError as error:
            message = CodedMessage("sftp_no_accounts", server=self._connection.server)
            raise SourceRefused(message) from error
        return output.decode("utf-8", "replace")

    def _read_first(self, items: Collection[Item]) -> str:
        for item in items:
            with self.open(item) as content:
                content.read(1)
        return ", ".join(item.name for item in items)

    def _check_permissions(self) -> None:
        root = self._root()
        if root not in dict(self._read_permissions([root])):
            raise SourceRefused(CodedMessage("sftp_no_getfacl", server=self._connection.server))
        list(self.list_people())


class _FolderFailed(SourceRefused):
    """One folder can't be listed. Others can."""


def _explain(item: Item, error: OSError) -> ItemUnavailable:
    match error.errno:
        case errno.ENOENT:
            return ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        case errno.EACCES:
            return ItemUnavailable(CodedMessage("source_item_refused", name=item.name))
    return ItemUnavailable(CodedMessage("source_item_broken", name=item.name, reason=str(error)))


def _version(entry: paramiko.SFTPAttributes) -> str:
    """Return the version of a file. It contains the owner, which people who replace a file can't forge."""
    return f"{entry.st_size} {entry.st_mtime} {entry.st_uid}"
