"""Watched folders: periodic scans that import new and changed files."""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.audit.services import record
from cairn.errors import CairnError, Conflict, Forbidden, InvalidInput
from cairn.library import storage
from cairn.library.models import Document, KnowledgeBase
from cairn.messages import CodedMessage
from ingestion import broker
from ingestion.documents.services import document_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.imports.services import import_close, import_open
from ingestion.jobs import lifecycle
from ingestion.models import Import, ImportItem, ImportKind, Watch, WatchedFile
from ingestion.watch_folders.filesystem import FolderFile, FolderWalk, watchable

log = logging.getLogger(__name__)

SCAN_LEASE: Final = timedelta(minutes=5)
_RENEW_SECONDS: Final = 30.0
_SETTLED_NS: Final = 2_000_000_000
_BATCH: Final = 500
_NAMED: Final = 3


def watch_create(
    *,
    knowledge_base: KnowledgeBase,
    path: str,
    principal: Principal,
    prune: bool = False,
    every_seconds: int = 300,
    enabled: bool = True,
) -> Watch:
    """Watch a folder. Raises InvalidInput unless the folder may be watched.

    Raises Conflict if it is watched already, or another one of the same name, whose files would be mixed up.
    """
    folder = watchable(path)
    if not folder.name:
        raise InvalidInput(gettext_noop("You can’t watch a whole file system. Choose a folder in it."))
    same_name = [watch for watch in knowledge_base.watches.all() if Path(watch.path).name == folder.name]
    if same_name:
        raise Conflict(CodedMessage("watch_name_taken", name=folder.name))
    try:
        with transaction.atomic():
            watch = Watch.objects.create(
                knowledge_base=knowledge_base,
                path=str(folder),
                prune=prune,
                every_seconds=every_seconds,
                enabled=enabled,
                user_id=principal.user,
            )
            record("watch.created", actor=principal.actor, subject=f"watch:{watch.id}")
    except IntegrityError as error:
        raise Conflict(gettext_noop("This folder is already being watched.")) from error
    return watch


def watch_update(*, watch: Watch, principal: Principal, **changes: Any) -> Watch:
    """Change prune, every_seconds and enabled. The principal becomes the uploader of the files."""
    with transaction.atomic():
        Watch.objects.filter(pk=watch.pk).update(**changes, user_id=principal.user)
        record("watch.changed", actor=principal.actor, subject=f"watch:{watch.id}", fields=sorted(changes))
    watch.refresh_from_db()
    return watch


def watch_delete(*, watch: Watch, principal: Principal) -> None:
    """Stop watching a folder. Its documents stay."""
    with transaction.atomic():
        record("watch.deleted", actor=principal.actor, subject=f"watch:{watch.id}")
        watch.delete()


def watch_scan(*, watch: Watch) -> Watch:
    """Request a scan as soon as a worker is free. Raises Conflict while a scan is running."""
    if not _unlocked_watches().filter(pk=watch.pk).update(looked_at=None):
        raise Conflict(gettext_noop("This folder is being checked."))
    transaction.on_commit(lambda: broker.enqueue_watch(watch.id), robust=True)
    watch.refresh_from_db()
    return watch


def next_scan(watch: Watch) -> datetime | None:
    """Return the time of the next scan; None if disabled or already requested."""
    if not watch.enabled or watch.looked_at is None:
        return None
    return watch.looked_at + timedelta(seconds=watch.every_seconds)


def watches_due() -> list[UUID]:
    watches = _unlocked_watches().filter(enabled=True, knowledge_base__deleted_at=None)
    return [watch.id for watch in watches if _is_due(watch)]


def _is_due(watch: Watch) -> bool:
    """Return whether a scan is due. A last scan in the future comes from a wrong clock."""
    at, now = next_scan(watch), timezone.now()
    return at is None or at <= now or (watch.looked_at is not None and watch.looked_at > now)


def _unlocked_watches() -> "QuerySet[Watch]":
    busy = Q(busy_until__gte=Now(), busy_until__lte=Now() + 2 * SCAN_LEASE)
    return Watch.objects.filter(Q(busy_until=None) | ~busy)


def scan_folder(watch_id: UUID) -> None:
    """Scan the folder, unless another worker is scanning it or has just done so."""
    if not _unlocked_watches().filter(pk=watch_id).update(busy_until=Now() + SCAN_LEASE):
        return
    watch = Watch.objects.select_related("knowledge_base", "user").get(pk=watch_id)
    if watch.knowledge_base.deleted_at or not _is_due(watch):
        _release(watch, looked_at=watch.looked_at)
        return
    began = time.monotonic()
    seen = _Scan(watch)
    looked_at: datetime | None = timezone.now()
    try:
        error = seen.run()
    except lifecycle.Interrupted:
        error, looked_at = watch.error, watch.looked_at
    except CairnError as problem:
        error = problem.message
    except Exception:  # the boundary of this piece of work: the next look may fare better
        log.exception("scan of watch folder %s failed", watch.id)
        error = CodedMessage("watch_failed")
    finally:
        if seen.batch:
            import_close(batch=seen.batch)
    result = {**seen.counts, "seconds": round(time.monotonic() - began, 1)}
    _release(watch, looked_at=looked_at, result=result, error=error, **seen.batch_fields())
    log.info("watch folder %s: %s", watch.id, result)


def _release(watch: Watch, **fields: Any) -> None:
    Watch.objects.filter(pk=watch.pk).update(busy_until=None, **fields)


COUNTS: Final = (
    "files", "unchanged", "submitted", "failed", "refused", "unfinished", "vanished", "removed", "links",
)  # fmt: skip


@dataclass(slots=True)
class _Scan:
    """A single scan of a folder.

    `known` are the files of the last scan, by source. `counts`: see COUNTS; `unfinished` files were modified
    a moment ago and are left for the next scan.
    """

    watch: Watch
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTS, 0)))
    batch: Import | None = None
    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    learnt: list[WatchedFile] = field(default_factory=list)
    renewed: float = field(default_factory=time.monotonic)

    def run(self) -> str:
        """Scan the folder and return an error message, empty if none. Raises CairnError if it cannot
        start.
        """
        folder = watchable(self.watch.path)
        principal = self._principal()
        rows = self.watch.files.values_list("source_uri", "size", "mtime_ns", "sha256")
        self.known = {uri: (size, mtime, digest) for uri, size, mtime, digest in rows}
        walk, found = FolderWalk(folder), set[str]()
        for file in walk:
            if lifecycle.stopping.is_set():
                raise lifecycle.Interrupted
            found.add(file.source_uri)
            self._check_file(file, principal, walk)
        self._save_learnt(at_least=1)
        self.counts.update(files=len(found), links=walk.links, failed=len(walk.unreadable))
        return self._handle_missing(found, walk, principal) or _describe_unreadable(walk.unreadable)

    def batch_fields(self) -> dict[str, Any]:
        return {"batch": self.batch} if self.batch else {}

    def _principal(self) -> Principal:
        """Return the current principal of the user who set up the watch."""
        user = self.watch.user
        principal = principal_for_user(user) if user and user.is_active else None
        if principal is None or not principal.is_admin:
            raise Forbidden(CodedMessage("watch_owner"))
        return principal

    def _check_file(self, file: FolderFile, principal: Principal, walk: FolderWalk) -> None:
        self._renew()
        size, mtime, _ = self.known.get(file.source_uri, (-1, -1, ""))
        if (size, mtime) == (file.size, file.mtime_ns):
            self.counts["unchanged"] += 1
        elif 0 <= time.time_ns() - file.mtime_ns < _SETTLED_NS:
            self.counts["unfinished"] += 1
        else:
            try:
                self._read(file, principal)
            except OSError as error:
                walk.unreadable.append((file.source_uri, error.strerror or str(error)))

    def _read(self, file: FolderFile, principal: Principal) -> None:
        with file.open() as stream:
            upload = File(stream, name=file.name)
            digest = storage.sha256_of(upload)
            status = os.fstat(stream.fileno())
            if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
                self.counts["unfinished"] += 1
                return
            if digest == _latest_digest(self.watch.knowledge_base, file.source_uri):
                self.counts["unchanged"] += 1
            else:
                self._submit(file, upload, principal)
        self._remember(file, digest)

    def _submit(self, file: FolderFile, upload: "File[bytes]", principal: Principal) -> None:
        try:
            document_submit(
                Upload(upload, file.name, source_uri=file.source_uri, batch=self._batch()),
                knowledge_base=self.watch.knowledge_base,
                principal=principal,
            )
            self.counts["submitted"] += 1
        except InvalidInput:  # noted in the import; the same bytes need not be offered again
            self.counts["refused"] += 1

    def _batch(self) -> Import:
        if self.batch is None:
            self.batch = import_open(
                knowledge_base=self.watch.knowledge_base,
                label=Path(self.watch.path).name,
                user=self.watch.user_id,
                kind=ImportKind.WATCH,
            )
        return self.batch

    def _remember(self, file: FolderFile, digest: str) -> None:
        self.learnt.append(
            WatchedFile(
                watch=self.watch,
                source_uri=file.source_uri,
                size=file.size,
                mtime_ns=file.mtime_ns,
                sha256=digest,
            )
        )
        self._save_learnt(at_least=_BATCH)

    def _save_learnt(self, *, at_least: int) -> None:
        if len(self.learnt) < at_least:
            return
        WatchedFile.objects.bulk_create(
            self.learnt,
            update_conflicts=True,
            unique_fields=["watch", "source_uri"],
            update_fields=["size", "mtime_ns", "sha256"],
        )
        self.learnt.clear()

    def _handle_missing(self, found: set[str], walk: FolderWalk, principal: Principal) -> str:
        """Remove documents of vanished files, if `prune` is set, and return an error message.

        Files below unreadable folders have not vanished, and empty folders may be mount points of missing
        disks.
        """
        hidden_from_us = tuple(f"{uri}/" for uri, _ in walk.unreadable)
        unreadable = {uri for uri, _ in walk.unreadable}
        gone = [
            uri
            for uri in self.known
            if uri not in found and uri not in unreadable and not uri.startswith(hidden_from_us)
        ]
        self.counts["vanished"] = len(gone)
        if gone and not found:
            return CodedMessage("watch_empty")
        if not self.watch.prune:
            return ""
        away = {uri: folder for folder in walk.empty for uri in gone if uri.startswith(f"{folder}/")}
        self._remove([uri for uri in gone if uri not in away], principal)
        return _describe_empty_folders(sorted(set(away.values())))

    def _remove(self, gone: Iterable[str], principal: Principal) -> None:
        for uri in gone:
            self._renew()
            document = (
                Document.objects.present()
                .filter(knowledge_base=self.watch.knowledge_base, source_key=uri, parent=None)
                .first()
            )
            if document is not None and _came_from_a_watch(document):
                document_delete(document=document, principal=principal, batch=self._batch())
                self.counts["removed"] += 1
            self.watch.files.filter(source_uri=uri).delete()

    def _renew(self) -> None:
        if time.monotonic() - self.renewed > _RENEW_SECONDS:
            Watch.objects.filter(pk=self.watch.pk).update(busy_until=Now() + SCAN_LEASE)
            self.renewed = time.monotonic()


def _came_from_a_watch(document: Document) -> bool:
    """Return whether a watch imported the document, rather than a user with the same path."""
    return ImportItem.objects.filter(document=document, batch__kind=ImportKind.WATCH).exists()


def _latest_digest(base: KnowledgeBase, source_uri: str) -> str | None:
    rows = Document.objects.present().filter(knowledge_base=base, source_key=source_uri)
    return rows.values_list("latest_version__sha256", flat=True).first()


def _describe_empty_folders(folders: list[str]) -> str:
    if not folders:
        return ""
    named = ", ".join(folders[:_NAMED]) + (", …" if len(folders) > _NAMED else "")
    return CodedMessage("watch_empty_folders", folders=named)


def _describe_unreadable(unreadable: list[tuple[str, str]]) -> str:
    if not unreadable:
        return ""
    named = "; ".join(f"{uri}: {reason}" for uri, reason in unreadable[:_NAMED])
    more = len(unreadable) - _NAMED
    if more > 0:
        return CodedMessage("watch_unreadable_more", files=named, count=more)
    return CodedMessage("watch_unreadable", files=named)
