"""Files of Google Drive, and who may read them."""

import io
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import BinaryIO, Final

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import find_first, read_items, require_known_access, run_steps
from ingestion.sources.item_streams import ItemStream
from ingestion.sources.json_api import NOT_THERE, JsonApi, RequestRefused, find_reason
from ingestion.sources.kinds.google_drive import answers
from ingestion.sources.kinds.google_drive.access import find_access
from ingestion.sources.kinds.google_drive.directory import Directory
from ingestion.sources.kinds.google_drive.options import GoogleDriveOptions
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Gone,
    Item,
    ItemUnavailable,
    Progress,
    SourceUnavailable,
    Unlisted,
)

_ALL_DRIVES: Final = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}
_PAGE_LENGTH: Final = "1000"
_TOKEN: Final = "pageToken"  # noqa: S105 - the name of a parameter
_OLD_TOKEN: Final = frozenset({400, 404, 410})
_REFUSAL_BYTES: Final = 20_000


class _ListEverything(Exception):
    """Changes alone don't show which files are gone."""


class GoogleDriveSource:
    """Ids of items are those of the files.

    The cursor has the place in the changes of each shared drive, "" for one that could not be listed. It is
    empty if folders are selected, since changes don't show which files are in them.
    """

    def __init__(self, options: GoogleDriveOptions, api: JsonApi, directory: JsonApi) -> None:
        self._options, self._api, self._directory_api = options, api, directory

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the listing, the first file, its permissions, and the people and groups."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in", self._api.headers),
            ("source_step_list", lambda: first.extend(self._find_first())),
            ("source_step_read", lambda: read_items(self, first)),
            ("source_step_access", lambda: self._require_access(first)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield what changed since the cursor.

        Everything is listed again if Google no longer knows the cursor, if a folder changed, if something was
        removed that may have been one, or if the shared drives are others than before.
        """
        before: dict[str, str] = json.loads(cursor) if cursor else {}
        if before and before.keys() == self._drives.keys() and not self._options.folders:
            after = dict[str, str]()
            try:
                for drive, token in before.items():
                    yield from self._list_later(drive, token, after)
            except _ListEverything:
                yield Progress()
            else:
                yield Complete(json.dumps(after), full=False)
                return
        after = {}
        for drive in self._drives:
            yield from self._list_drive(drive, after)
        for folder in self._options.folders:
            yield from self._list_folder(folder)
        yield Complete("" if self._options.folders else json.dumps(after))

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a file, or a document of Google in an office format."""
        path, params = f"drive/v3/files/{item.id}", {"alt": "media", "supportsAllDrives": "true"}
        exported = item.version.partition(" ")[0]
        if exported in answers.EXPORTS:
            path, params = f"{path}/export", {"mimeType": answers.EXPORTS[exported][0]}
        with self._api.server.stream("GET", path, params=params, headers=self._api.headers()) as response:
            if response.status_code in NOT_THERE:
                raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
            if response.status_code != 200:
                start = next(response.iter_raw(_REFUSAL_BYTES), b"")
                reason = find_reason(start)[:200] or f"HTTP {response.status_code}"
                raise ItemUnavailable(CodedMessage("source_item_broken", name=item.name, reason=reason))
            yield io.BufferedReader(ItemStream(response.iter_raw(), lambda: None))

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item that still exists."""
        fields = "type,role,emailAddress,domain,allowFileDiscovery,expirationTime,deleted,view"
        params = {
            "supportsAllDrives": "true",
            "pageSize": "100",
            "fields": f"nextPageToken,permissions({fields})",
        }
        for item in items:
            path = f"drive/v3/files/{item.id}/permissions"
            try:
                pages = list(self._list(path, answers.Permissions, **params))
            except RequestRefused as error:
                if error.status_code not in NOT_THERE:
                    yield item.id, SourceAccess(unknown=error.message)
                continue
            permissions = [permission for page in pages for permission in page.permissions]
            yield item.id, find_access(permissions, self._directory)

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the people and groups of the directory, as they are now."""
        yield from Directory(self._directory_api).list_people()

    @cached_property
    def _directory(self) -> Directory:
        return Directory(self._directory_api)

    @cached_property
    def _drives(self) -> dict[str, str]:
        """Names of the selected shared drives by id."""
        if self._options.drives:
            return dict.fromkeys(self._options.drives, "")
        if self._options.folders:
            return {}
        pages = self._list("drive/v3/drives", answers.Drives, pageSize="100")
        return {drive.id: drive.name for page in pages for drive in page.drives}

    def _list(self, path: str, kind: type[answers.M], **params: str) -> Iterator[answers.M]:
        return self._api.list_tokens(path, kind, lambda page: page.next_token, _TOKEN, **params)

    def _list_files(self, **params: str) -> Iterator[answers.File]:
        """Yield files. Raises SourceUnavailable if Google left some out."""
        fields = f"nextPageToken,incompleteSearch,files({answers.FILE_FIELDS})"
        given = {"pageSize": _PAGE_LENGTH, "fields": fields, **_ALL_DRIVES, **params}
        for page in self._list("drive/v3/files", answers.Files, **given):
            if page.is_incomplete:
                raise SourceUnavailable(CodedMessage("source_incomplete"))
            yield from page.files

    def _list_drive(self, drive: str, after: dict[str, str]) -> Iterator[Change]:
        """Yield the files of a shared drive, and set the place in its changes from before the listing."""
        yield Progress()
        try:
            path, params = "drive/v3/changes/startPageToken", {"supportsAllDrives": "true"}
            token = self._api.read(path, answers.StartToken, driveId=drive, **params).token
            for file in self._list_files(corpora="drive", driveId=drive, q="trashed = false"):
                if file.is_content:
                    yield _build_item(file, _container(drive))
            after[drive] = token
        except RequestRefused as error:
            after[drive] = ""
            yield Unlisted(_container(drive), error.message)

    def _list_later(self, drive: str, token: str, after: dict[str, str]) -> Iterator[Change]:
        yield Progress()
        if not token:
            raise _ListEverything
        fields = (
            f"nextPageToken,newStartPageToken,changes(changeType,fileId,removed,file({answers.FILE_FIELDS}))"
        )
        params = {"pageToken": token, "driveId": drive, "pageSize": _PAGE_LENGTH, "fields": fields}
        try:
            for page in self._list("drive/v3/changes", answers.Changes, **params, **_ALL_DRIVES):
                for change in page.changes:
                    yield from _build_change(change, drive)
                after[drive] = page.start_token
                yield Progress()
        except RequestRefused as error:
            if error.status_code in _OLD_TOKEN:
                raise _ListEverything from error
            after[drive] = token
            yield Unlisted(_container(drive), error.message)
            return
        if not after.get(drive):
            raise self._api.server.invalid("newStartPageToken")

    def _list_folder(self, folder: str) -> Iterator[Change]:
        """Yield the content of a folder and its subfolders, each item once. A folder may have several
        parents."""
        waiting, seen = [(folder, f"folders/{folder}")], {folder}
        while waiting:
            current, container = waiting.pop()
            yield Progress()
            query = f"'{_quote(current)}' in parents and trashed = false"
            try:
                for file in self._list_files(corpora="allDrives", q=query):
                    if file.type == answers.FOLDER and file.id not in seen:
                        seen.add(file.id)
                        waiting.append((file.id, f"{container}/{file.id}"))
                    elif file.is_content:
                        yield _build_item(file, container)
            except RequestRefused as error:
                yield Unlisted(container, error.message)

    def _find_first(self) -> list[Item]:
        return find_first(self.list_changes(""), skips_unlisted=False)

    def _require_access(self, items: Collection[Item]) -> None:
        require_known_access(self, items)
        list(self.list_people())


def _build_change(change: answers.Change, drive: str) -> Iterator[Change]:
    if change.kind != "file":
        return
    file = change.file
    if change.removed or file is None or file.type == answers.FOLDER:
        raise _ListEverything  # files in a folder that was moved, deleted or restored need not be named
    if file.trashed or (file.drive and file.drive != drive):
        yield Gone(file.id)
    elif file.is_content:
        yield _build_item(file, _container(drive))


def _build_item(file: answers.File, container: str) -> Item:
    """Build an item. The version of a document of Google begins with its type, which says how to read it."""
    modified = file.modified.isoformat() if file.modified else ""
    ending = answers.EXPORTS.get(file.type, ("", ""))[1]
    return Item(
        id=file.id,
        name=file.name if file.name.lower().endswith(ending) else f"{file.name}{ending}",
        uri=file.url,
        version=f"{file.type} {modified}" if ending else file.checksum or modified,
        container=container,
        title=file.name if ending else "",
        size=None if ending else file.size,
        modified=file.modified,
    )


def _container(drive: str) -> str:
    return f"drives/{drive}"


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
