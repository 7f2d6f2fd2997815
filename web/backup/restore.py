"""Restore a backup. Until it is complete, the installation is marked as unfinished and does not start."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from cairn.access.models import AccessCheck, CheckState
from cairn.audit import hash_chain
from cairn.audit.hash_chain import head_file, seal_all
from cairn.audit.services import record
from cairn.cache.models import Entry
from cairn.errors import CairnError, ConfigurationError, Conflict, Unavailable
from cairn.library.models import Document, ReservedSlug
from cairn.settings import environment
from ingestion.failpoints import Fault, fault_point
from ingestion.models import Job
from retrieval.index.backends import index_backend
from retrieval.index.generations import close_index, new_name, open_indexes
from retrieval.models import GenerationState, IndexGeneration, new_word_key
from web.access_checks.services import INTERRUPTED
from web.backup import database, files, vectors
from web.backup.destination import Report
from web.backup.erasures import Erasure, erase_again
from web.backup.key import existing_key
from web.backup.manifest import AUDIT_HEAD, KEY_FILE, Backup, Manifest, verify
from web.data_dir.migrate import migrate
from web.data_dir.restore_marker import unfinished_file
from web.processes.data_dir_lock import DataDirLock

_INDEX: Final = "index"


@dataclass(frozen=True, slots=True)
class Restored:
    """The result. `problem`: a failed check of the audit log. `notes`: hints for the operator."""

    manifest: Manifest
    documents: int
    erased: int
    problem: str
    notes: list[str]


def restore(
    source: Path,
    *,
    force: bool,
    allow_unauthenticated: bool = False,
    erasures: Sequence[Erasure] = (),
    report: Report = lambda _text: None,
) -> Restored:
    """Restore a backup. Nothing changes before it was found authentic, complete and suitable.

    `allow_unauthenticated`: the operator trusts a backup without a signature of this installation.
    """
    report("Checksums")
    backup = verify(source, key=existing_key(), allow_unauthenticated=allow_unauthenticated)
    _require_fit(backup.manifest)
    lock = DataDirLock(Path(settings.DATA_DIR))
    lock.acquire("manage.py restore")
    try:
        if not force:
            _require_nothing_there()
        unfinished_file().touch(mode=0o600)
        restored = _restore_contents(backup, erasures, report)
        fault_point(Fault.RESTORE_BEFORE_END)
        unfinished_file().unlink()
        return restored
    except OSError as error:
        raise CairnError(f"The backup couldn't be restored: {error}") from error
    finally:
        close_index()
        lock.release()


def _require_fit(manifest: Manifest) -> None:
    index_backend()  # VECTOR_INDEX may name something that can't be loaded
    if manifest.database != connection.vendor:
        raise ConfigurationError(
            f"The backup is of an install with {manifest.database}, and this one has {connection.vendor}."
        )
    if unknown := database.unknown_migrations(manifest.migrations):
        raise ConfigurationError(
            f"The backup was made by a newer Cairn ({manifest.cairn}): this one does not know {unknown[0]}."
        )


def _require_nothing_there() -> None:
    there = {
        "a database": not database.is_empty(),
        "files": files.has_files(),
        "an index": any(_index_folder().glob("*")),
    }
    if found := [what for what, is_there in there.items() if is_there]:
        raise Conflict(f"Found existing {' and '.join(found)}. Use --force to replace it with the backup.")


def _index_folder() -> Path:
    return Path(settings.DATA_DIR) / _INDEX


def _restore_contents(backup: Backup, erasures: Sequence[Erasure], report: Report) -> Restored:
    report("Database")
    slugs = _note_slugs()
    if not database.is_empty():
        _remove_indexes()
    files.remove_all()
    database.load(backup)
    fault_point(Fault.RESTORE_AFTER_TABLES)
    notes = [*_warn_if_unauthenticated(backup), *_place_secret(backup), *_missing(backup.manifest)]
    _place_head(backup)
    migrate()
    _reserve(slugs)
    _tidy()
    report("Files")
    for _ in files.put_back(backup):
        fault_point(Fault.RESTORE_WHILE_COPYING)
    report("Vectors")
    _build(backup.folder)
    erased = erase_again(erasures)
    made = backup.manifest.made_at.isoformat()
    record("backup.restored", actor=None, made_at=made, erased=erased, authenticated=backup.authentic)
    seal_all()
    problem = hash_chain.verify().problem
    return Restored(backup.manifest, Document.objects.present().count(), erased, problem, notes)


def _note_slugs() -> list[str]:
    """Write reserved slugs of the replaced installation, and of interrupted restores, to a file.

    The file exists until the restore is complete, whatever happens to the tables.
    """
    noted = unfinished_file().read_text(encoding="ascii").split()
    there = [] if database.is_empty() else database.reserved_slugs()
    slugs = sorted({*noted, *there})
    unfinished_file().write_text("\n".join(slugs), encoding="ascii")
    return slugs


def _reserve(slugs: Sequence[str]) -> None:
    """Reserve slugs that were used after the backup."""
    ReservedSlug.objects.bulk_create([ReservedSlug(slug=slug) for slug in slugs], ignore_conflicts=True)


def _warn_if_unauthenticated(backup: Backup) -> list[str]:
    return [] if backup.authentic else [_NOT_AUTHENTICATED]


_NOT_AUTHENTICATED: Final = (
    "The backup was restored without checking who made it. If somebody else could have written to it, they "
    "may have given themselves an account: look at the users and API keys before you start Cairn."
)


def _remove_indexes() -> None:
    """Remove the index folder, or the shared indexes known to the old tables."""
    backend = index_backend()
    if not backend.shared:
        shutil.rmtree(_index_folder(), ignore_errors=True)
        return
    for name in database.index_places():
        backend.remove(name)


def _place_secret(backup: Backup) -> list[str]:
    given = environment().secret_key is not None
    if not backup.manifest.secret_key:
        return [] if given else [_KEY_MISSING]
    if given:
        return [_KEY_GIVEN]
    _place(backup, KEY_FILE, Path(settings.DATA_DIR) / KEY_FILE)
    return []


_KEY_MISSING: Final = (
    "The backup holds no SECRET_KEY, as it was set from outside. Set the same one before you start Cairn: "
    "with another one nobody's second factor works."
)
_KEY_GIVEN: Final = (
    "The backup holds the SECRET_KEY of its install, which was not used since one is set here. With another "
    "one nobody's second factor works."
)


def _missing(manifest: Manifest) -> list[str]:
    if not manifest.missing:
        return []
    return [f"When the backup was made, these could not be had: {', '.join(manifest.missing[:20])}."]


def _place_head(backup: Backup) -> None:
    head_file().unlink(missing_ok=True)
    if AUDIT_HEAD in backup.digests:
        _place(backup, AUDIT_HEAD, head_file())


def _place(backup: Backup, name: str, target: Path) -> None:
    fresh = target.with_name(f"{target.name}.restored")
    backup.copy(name, fresh)
    fresh.replace(target)


def _tidy() -> None:
    """Reset leases, sessions, checks, and other generations than the active one."""
    checks = AccessCheck.objects.filter(state=CheckState.RUNNING)
    checks.update(state=CheckState.FAILED, error=INTERRUPTED, ended_at=timezone.now())
    Job.objects.exclude(lease=None).update(lease=None, lease_until=None)
    IndexGeneration.objects.exclude(state=GenerationState.ACTIVE).delete()
    IndexGeneration.objects.update(
        lease=None, lease_until=None, place="", next_place="", old_place="", copying=False,
        word_key=new_word_key(), next_word_key=b"", rewrite_error="", rewrite_after=None,
    )  # fmt: skip
    Session.objects.all().delete()
    Entry.objects.all().delete()


def _build(source: Path) -> None:
    """Build the index. In a shared store it gets a new name: the old one may be the index of the installation
    that was backed up.
    """
    backend = index_backend()
    generation = IndexGeneration.objects.first()
    if generation is None:
        return
    if backend.shared:
        generation.name = new_name()
        generation.save(update_fields=["name"])
    try:
        index = backend.create(generation.name, generation.dimension)
    except Unavailable:  # the folder of a restore into this DATA_DIR that did not finish
        if backend.shared:
            raise
        backend.remove(generation.name)
        index = backend.create(generation.name, generation.dimension)
    for _ in vectors.put_back(source, generation, open_indexes.add(generation, index)):
        fault_point(Fault.RESTORE_WHILE_INDEXING)
