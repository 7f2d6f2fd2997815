"""Fetch new and changed items of a source, and submit them as documents."""

import errno
import hashlib
import logging
import tempfile
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Final

from django.core.files.base import File
from django.db.models import F, Q

from cairn.errors import CairnError, Conflict, InvalidInput, PayloadTooLarge
from cairn.library.models import Document
from cairn.messages import CodedMessage
from cairn.settings import environment
from ingestion.documents.sources import is_resubmittable
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload, item_key, require_upload_size
from ingestion.failpoints import Fault, fault_point
from ingestion.imports.services import import_close, import_open, require_takes_files
from ingestion.models import Import, ImportKind, Source, SourceItem
from ingestion.sources.protocol import ItemChanged, ItemUnavailable, SourceUnavailable
from ingestion.sources.sync.access import pages_of, sync_access_of, sync_pending_access
from ingestion.sources.sync.context import RunContext
from ingestion.sources.sync.items import item_of
from ingestion.sources.sync.renaming import extension_of

log = logging.getLogger(__name__)

PAGE: Final = 50
_PIECE: Final = 1 << 18
_MAX_BROKEN: Final = 20
"""So many items in a row that can't be read for an unknown reason end the run: the source is out of order."""
_TO_FETCH: Final = Q(excluded=False) & (Q(version="") | ~Q(version=F("synced_version")))


class _Broken(CairnError):
    """Reading an item raised an error that its kind of source doesn't know."""


@dataclass(slots=True)
class Fetcher:
    """Fetches the items of a run. `broken` counts those that failed in a row for an unknown reason."""

    context: RunContext
    opened: Import | None = None
    broken: int = 0

    def run(self) -> None:
        rows = SourceItem.objects.filter(_TO_FETCH, source=self.context.source)
        for page in pages_of(rows, PAGE):
            among = [row.pk for row in page]
            sync_access_of(self.context, among)
            for row in page:
                self.context.renew()
                self._fetch(row)
            sync_pending_access(self.context, among)

    def batch(self) -> Import:
        """Return the import of this run, opened when the first document changes."""
        if self.opened is None:
            source = self.context.source
            self.opened = import_open(
                knowledge_base=source.knowledge_base,
                label=source.name,
                user=source.user_id,
                kind=ImportKind.SOURCE,
            )
            Source.objects.filter(pk=source.pk).update(batch=self.opened)
        return self.opened

    def close(self) -> None:
        if self.opened is not None:
            import_close(batch=self.opened)

    def _fetch(self, row: SourceItem) -> None:
        try:
            require_upload_size(row.size or 0)
            with tempfile.TemporaryFile() as file:
                digest = self._read(row, file)
                self.broken = 0
                self._submit(row, file, digest)
        except PayloadTooLarge as error:
            self._refuse(row, error, synced_version=row.version)
        except (ItemUnavailable, ItemChanged) as error:
            self._refuse(row, error)
        except Conflict as error:
            require_takes_files(self.batch())
            self._refuse(row, error)
        except InvalidInput as error:
            self._refuse(row, error, synced_version=row.version)
        except _Broken as error:
            self._refuse(row, error)
            self.broken += 1
            if self.broken >= _MAX_BROKEN:
                raise SourceUnavailable(error.message) from error

    def _read(self, row: SourceItem, file: IO[bytes]) -> str:
        """Copy the content into the file, and return its digest."""
        try:
            with self.context.connection.open(item_of(row)) as stream:
                size, digest = self._copy(stream, file)
        except (CairnError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.exception("item %s of source %s can't be read", row.pk, row.source_id)
            raise _Broken(CodedMessage("source_item_failed")) from error
        if row.size is not None and size != row.size and row.sha256 != digest:
            SourceItem.objects.filter(pk=row.pk).update(sha256=digest)
            raise ItemChanged(CodedMessage("source_item_changed"))
        return digest

    def _copy(self, stream: BinaryIO, file: IO[bytes]) -> tuple[int, str]:
        """Copy up to the size limit, whatever size the source reported."""
        size, digest, limit = 0, hashlib.sha256(), environment().upload_max_mb << 20
        while piece := stream.read(_PIECE):
            self.context.renew()
            size += len(piece)
            if size > limit:
                require_upload_size(size)
            digest.update(piece)
            file.write(piece)
        file.seek(0)
        return size, digest.hexdigest()

    def _submit(self, row: SourceItem, file: IO[bytes], digest: str) -> None:
        source = self.context.source
        key = item_key(source.id, row.external_id)
        present = Document.objects.filter(
            knowledge_base=source.knowledge_base, source_key=key, deleted_at=None
        )
        document = present.select_related("latest_version").first()
        reformatted = _has_other_extension(document, row)
        if document is None or reformatted or not _has_bytes(document, digest):
            document = self._submit_upload(row, file, key, is_new=document is None, always_new=reformatted)
            self.context.counts["submitted"] += 1
            fault_point(Fault.SOURCE_AFTER_SUBMIT)
        else:
            self.context.counts["same_bytes"] += 1
        self._save(row, document, digest)

    def _submit_upload(
        self, row: SourceItem, file: IO[bytes], key: str, *, is_new: bool, always_new: bool
    ) -> Document:
        """Submit the content. A new document is for managers only until `sync_pending_access` has run."""
        source = self.context.source
        upload = Upload(
            File(file, name=row.name),
            row.name,
            title=row.title or None,
            source_uri=row.uri,
            readers=[] if is_new else None,
            batch=self.batch(),
            always_new=always_new,
            item_key=key,
        )
        self.context.lease.require()
        return document_submit(
            upload, knowledge_base=source.knowledge_base, principal=self.context.principal
        ).document

    def _save(self, row: SourceItem, document: Document, digest: str) -> None:
        changes: dict[str, Any] = {"document": document, "sha256": digest, "error": ""}
        if row.document_id != document.pk:
            changes["synced_access_version"] = ""
        SourceItem.objects.filter(pk=row.pk).update(synced_version=row.version, **changes)

    def _refuse(self, row: SourceItem, error: CairnError, **changes: Any) -> None:
        self.context.counts["failed"] += 1
        SourceItem.objects.filter(pk=row.pk).update(error=error.message, **changes)


def _has_bytes(document: Document, digest: str) -> bool:
    latest = document.latest_version
    return latest is not None and latest.sha256 == digest and not is_resubmittable(latest)


def _has_other_extension(document: Document | None, row: SourceItem) -> bool:
    latest = document.latest_version if document else None
    return latest is not None and extension_of(latest.filename) != extension_of(row.name)
