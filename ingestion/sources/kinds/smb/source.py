"""A folder of a Windows file share, with the permissions of its files."""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from time import monotonic
from typing import Any, BinaryIO, Final

from smbprotocol.open import CreateOptions
from smbprotocol.session import Session

from cairn.access.source_access import (
    EVERYONE,
    AccessEntry,
    AccessLevel,
    SourceAccess,
    SourceGroup,
    SourcePerson,
)
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import check_reading, find_first
from ingestion.sources.kinds.smb import statuses
from ingestion.sources.kinds.smb.client import (
    READ_ATTRIBUTES,
    READ_DATA,
    READING_BYTES,
    SYNCHRONIZE,
    Entry,
    Handle,
    ItemFailure,
    Security,
    ShareClient,
)
from ingestion.sources.kinds.smb.descriptors import EVERYONE_SID, read_level
from ingestion.sources.kinds.smb.directory import EVERYONE_SIDS, open_directory
from ingestion.sources.kinds.smb.options import SmbOptions
from ingestion.sources.kinds.smb.rpc import BUILTIN_SID, CallFailure, list_local_groups, read_share_descriptor
from ingestion.sources.kinds.smb.session import open_session, open_share
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)

PROGRESS_SECONDS: Final = 10
MAX_DEPTH: Final = 200
_DIRECTORY: Final = 0x10
_HIDDEN_OR_SYSTEM: Final = 0x02 | 0x04
_NAME_SURROGATE: Final = 0x20000000
"""Bit in the tag of links. Other reparse points, such as deduplicated files, are ordinary files."""
_NO_IDS: Final = frozenset((0, 2**64 - 1))
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


@contextmanager
def connect(options: SmbOptions) -> Iterator["SmbSource"]:
    """Sign in to the server and connect to the share."""
    with open_session(options) as session:
        client = ShareClient(open_share(session, options, options.share), options.server)
        yield SmbSource(options, session, client)


class SmbSource:
    """Paths are relative to the share, with slashes. An item's container is the path of its folder."""

    def __init__(self, options: SmbOptions, session: Session, client: ShareClient) -> None:
        self._options, self._session, self._client = options, session, client

    def check(self) -> Iterator[CheckStep]:
        """Test the folder, a file in it and its permissions, those of the share, and the directory."""
        options = self._options
        yield CheckStep(CodedMessage("source_step_connect"), detail=rf"\\{options.server}\{options.share}")
        listed = CodedMessage("source_step_list")
        try:
            items = find_first(self.list_changes(""))
        except (SourceRefused, SourceUnavailable) as error:
            yield CheckStep(listed, problem=error.message)
            return
        yield CheckStep(listed, detail=items[0].name if items else CodedMessage("source_nothing_to_read"))
        for item in items:
            yield check_reading(self, [item], lambda item: item.name)
            [(_, access)] = list(self.list_access([item])) or [(item.id, SourceAccess())]
            yield CheckStep(CodedMessage("source_step_access"), problem=access.unknown)
        if options.directory_server:
            yield self._check_directory()

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # SMB can't list changes only
        """List the folder and all folders below it. Links and hidden files are left out."""
        root = self._options.folder
        folders, listed, reported = [root], {self._identify_folder(root)}, monotonic()
        while folders:
            folder = folders.pop()
            try:
                for entry in self._client.list_folder(folder):
                    if _is_folder(entry):
                        folders.extend(_enter(listed, folder, entry))
                    elif not _is_left_out(entry):
                        yield self._make_item(folder, entry)
                    if monotonic() - reported > PROGRESS_SECONDS:
                        reported = monotonic()
                        yield Progress()
            except ItemFailure as failure:
                if folder == root:
                    raise SourceRefused(self._describe(failure, folder)) from failure
                yield Unlisted(folder, self._describe(failure, folder))
            yield Progress()
        yield Complete()

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a file for reading, without keeping others from changing it."""
        access, options = READ_DATA | READ_ATTRIBUTES | SYNCHRONIZE, CreateOptions.FILE_NON_DIRECTORY_FILE
        try:
            with self._client.open_handle(_path(item), access, options) as opened:
                if item.id != _item_id(self._client.read_file_id(opened.id), opened.created, _path(item)):
                    raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
                yield io.BufferedReader(RemoteFile(self._client, opened), READING_BYTES)
        except ItemFailure as failure:
            raise ItemUnavailable(_describe_item(failure, item)) from failure

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Read the security descriptor of each file; those that are gone are left out."""
        known = list(items)
        found = self._client.read_securities([_path(item) for item in known])
        for item, security in zip(known, found, strict=True):
            if isinstance(security, Security):
                yield item.id, self._make_access(item, security)
            elif security.status not in statuses.GONE:
                yield item.id, SourceAccess(unknown=CodedMessage("smb_permissions_refused", name=item.name))

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Read people and groups from the domain, and groups of the file server itself."""
        if self._options.directory_server:
            with open_directory(self._options) as directory:
                yield from directory.list_people()
            # Groups that can't be read are left out and thus unknown: a denial for them may concern anyone.
            with suppress(CallFailure):
                yield from list_local_groups(self._session, self._options, known_domain=directory.sid)

    def _make_item(self, folder: str, entry: Entry) -> Item:
        path = _join(folder, entry.name)
        options = self._options
        uri = rf"\\{options.server}\{options.share}\{path}".replace("/", "\\")
        return Item(
            id=_item_id(entry.file_id, entry.created, path),
            name=entry.name,
            uri=uri,
            version=f"{entry.written:x}-{entry.size:x}",
            container=folder,
            size=entry.size,
            modified=_read_time(entry.written),
        )

    def _make_access(self, item: Item, security: Security) -> SourceAccess:
        if item.id != _item_id(security.file_id, security.created, _path(item)):
            return SourceAccess(unknown=CodedMessage("smb_item_replaced", name=item.name))
        if self._share_level is None:
            return SourceAccess(unknown=CodedMessage("smb_share_permissions_refused"))
        try:
            level = read_level(security.descriptor)
        except ValueError:
            return SourceAccess(unknown=CodedMessage("smb_permissions_refused", name=item.name))
        return SourceAccess((self._share_level, self._name_subjects(level)))

    @cached_property
    def _share_level(self) -> AccessLevel | None:
        """Who may use the share; None if the account can't read that."""
        if self._options.share_permissions == "everyone":
            return self._name_subjects((AccessEntry(EVERYONE_SID),))
        descriptor = read_share_descriptor(self._session, self._options)
        try:
            return self._name_subjects(read_level(descriptor or b""))
        except ValueError:
            return None

    def _name_subjects(self, level: AccessLevel) -> AccessLevel:
        """Replace the group of all people with EVERYONE if there is no directory, as no memberships are known
        then.

        An entry that denies access to a group with unknown members denies it to everyone.
        """
        return tuple(
            AccessEntry(EVERYONE, entry.allow) if self._concerns_everyone(entry) else entry for entry in level
        )

    def _concerns_everyone(self, entry: AccessEntry) -> bool:
        if self._options.directory_server:
            return not entry.allow and self._is_hidden_group(entry.subject)
        return not entry.allow or entry.subject in EVERYONE_SIDS

    def _is_hidden_group(self, sid: str) -> bool:
        """Return whether this is a group of the file server, and the account may not read its members."""
        return sid.startswith(f"{BUILTIN_SID}-") and not self._reads_local_groups

    @cached_property
    def _reads_local_groups(self) -> bool:
        groups = list_local_groups(self._session, self._options, known_domain="")
        with closing(groups):
            try:
                return next(groups, None) is not None
            except CallFailure:
                return False

    def _identify_folder(self, folder: str) -> tuple[int, int]:
        access, options = READ_ATTRIBUTES, CreateOptions.FILE_DIRECTORY_FILE
        try:
            with self._client.open_handle(folder, access, options) as opened:
                return self._client.read_file_id(opened.id), opened.created
        except ItemFailure as failure:
            raise SourceRefused(self._describe(failure, folder)) from failure

    def _check_directory(self) -> CheckStep:
        step = CodedMessage("smb_step_directory")
        try:
            people = sum(isinstance(each, SourcePerson) for each in self.list_people())
        except (SourceRefused, SourceUnavailable) as error:
            return CheckStep(step, problem=error.message)
        return CheckStep(step, detail=str(people))

    def _describe(self, failure: ItemFailure, folder: str) -> CodedMessage:
        name = folder or self._options.share
        if failure.status == statuses.ACCESS_DENIED:
            return CodedMessage("source_folder_refused", name=name)
        if failure.status in statuses.GONE:
            return CodedMessage("source_folder_missing", server=self._options.server, name=name)
        return CodedMessage("source_folder_failed", name=name, reason=str(failure))


class RemoteFile(io.RawIOBase):
    """An open file of a share, read from start to end."""

    def __init__(self, client: ShareClient, handle: Handle) -> None:
        self._client, self._handle, self._offset = client, handle, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._client.read_piece(self._handle.id, self._offset, len(buffer))
        buffer[: len(piece)] = piece
        self._offset += len(piece)
        return len(piece)


def _is_folder(entry: Entry) -> bool:
    return bool(entry.attributes & _DIRECTORY)


def _is_left_out(entry: Entry) -> bool:
    """Return whether this is a link, hidden, or the lock file of an office program."""
    is_link = bool(entry.reparse_tag & _NAME_SURROGATE)
    return is_link or bool(entry.attributes & _HIDDEN_OR_SYSTEM) or entry.name in {".", ".."}


def _enter(listed: set[tuple[int, int]], folder: str, entry: Entry) -> list[str]:
    """Return the path of a folder to be listed, unless it was listed before, as in a circle of links."""
    identity = (entry.file_id, entry.created)
    known = entry.file_id not in _NO_IDS and identity in listed
    if known or _is_left_out(entry) or folder.count("/") >= MAX_DEPTH:
        return []
    listed.add(identity)
    return [_join(folder, entry.name)]


def _item_id(file_id: int, created: int, path: str) -> str:
    """Return an id that stays when the file is renamed, or a digest of its path where the server has none."""
    if file_id in _NO_IDS:
        return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{file_id:x}-{created:x}"


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _path(item: Item) -> str:
    return _join(item.container, item.name)


def _read_time(ticks: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def _describe_item(failure: ItemFailure, item: Item) -> CodedMessage:
    if failure.status in statuses.LOCKED:
        return CodedMessage("smb_item_locked", name=item.name)
    if failure.status == statuses.ACCESS_DENIED:
        return CodedMessage("source_item_refused", name=item.name)
    if failure.status in statuses.GONE:
        return CodedMessage("source_item_gone", name=item.name)
    return CodedMessage("source_item_broken", name=item.name, reason=str(failure))
