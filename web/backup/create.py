"""Create consistent copies of tables, files and vectors while Cairn is running."""

import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection

from cairn.audit.hash_chain import head_file
from cairn.audit.services import record
from cairn.library.models import Document
from cairn.settings import environment
from ingestion.failpoints import Fault, fault_point
from retrieval.models import IndexGeneration
from web.backup import files, vectors
from web.backup.database import applied_migrations, snapshot
from web.backup.destination import Report, new_folder
from web.backup.key import key_file, key_get_or_create
from web.backup.manifest import (
    AUDIT_HEAD,
    FILES,
    GOLD,
    KEY_FILE,
    Generation,
    Manifest,
    measure_size,
    seal,
    verify,
)
from web.processes.progress_report import Reporter

TRIES: Final = 5


@dataclass(slots=True)
class _Look:
    """The contents of one snapshot."""

    migrations: list[str]
    generation: IndexGeneration | None
    documents: int
    names: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    vectors: int = 0


def backup(
    target: Path, *, gold: dict[str, Any] | None, reporter: Reporter, is_verified: bool = False
) -> Manifest:
    """Create a backup. Raises CairnError with nothing left behind. Unavailable data is in `missing`.

    `is_verified`: read it again and compare every checksum before it gets its name.
    """
    with new_folder(target, report=reporter.step) as folder:
        look = _consistent(folder, reporter.status)
        if gold is not None:
            (folder / GOLD).write_text(json.dumps(gold, ensure_ascii=False, indent=2), encoding="utf-8")
        manifest = _manifest(look, secret=_copy_secret(folder))
        reporter.status("Checksums")
        key, is_new = key_get_or_create()
        seal(folder, manifest, key)
        if is_verified:
            reporter.status("Verification")
            verify(folder, key=key)
        written = measure_size(folder)
        fault_point(Fault.BACKUP_BEFORE_RENAME)
    if is_new:
        reporter.step(_KEY_MADE.format(path=key_file()))
    record(
        "backup.made",
        actor=None,
        documents=manifest.documents,
        files=manifest.files,
        bytes=written,
        missing=len(manifest.missing),
        verified=is_verified,
    )
    return manifest


_KEY_MADE: Final = (
    "{path} is the key that backups are signed with, and is in none of them. Keep a copy of it apart from "
    "the backups: on another machine, restore needs it."
)


def _consistent(folder: Path, report: Report) -> _Look:
    """Copy the tables, then what they refer to; start over if something was removed meanwhile."""
    with vectors.source() as given:
        for attempt in range(TRIES):
            look = _look(folder, given, report)
            if not look.missing:
                break
            report(f"{len(look.missing)} changed meanwhile: look {attempt + 2}")
    files.remove_except(look.names, folder / FILES)
    return look


def _look(folder: Path, given: vectors.Source, report: Report) -> _Look:
    _copy_head(folder)
    report("Database")
    with snapshot(folder) as using:
        active = IndexGeneration.objects.using(using).active().first()
        documents = Document.objects.using(using).present().count()
        look = _Look(applied_migrations(using), active, documents)
        report("Files")
        for stored in files.stored_files(using):
            look.names.add(stored.name)
            if not files.copy_file(stored, folder / FILES / stored.name):
                look.missing.append(stored.name)
            fault_point(Fault.BACKUP_WHILE_COPYING)
        report("Vectors")
        if active is not None:
            chunks = vectors.indexed_chunks(using)
            look.vectors, missing = vectors.write_vectors(folder, active, chunks, given)
            look.missing += [f"{missing} vectors"] if missing else []
    return look


def _copy_head(folder: Path) -> None:
    """Copy the audit head before the tables, which may only have more events than it."""
    if head_file().exists():
        shutil.copyfile(head_file(), folder / AUDIT_HEAD)


def _copy_secret(folder: Path) -> bool:
    """Copy a generated secret key, which second factors depend on. Returns whether it was generated."""
    if environment().secret_key is not None:
        return False
    shutil.copyfile(Path(settings.DATA_DIR) / KEY_FILE, folder / KEY_FILE)
    return True


def _manifest(look: _Look, *, secret: bool) -> Manifest:
    active = look.generation
    return Manifest(
        cairn=version("cairn"),
        made_at=datetime.now(UTC),
        database="sqlite" if connection.vendor == "sqlite" else "postgresql",
        migrations=look.migrations,
        generation=Generation(
            id=active.id,
            name=active.name,
            embedding_model=active.embedding_model,
            dimension=active.dimension,
        )
        if active
        else None,
        documents=look.documents,
        files=len(look.names),
        vectors=look.vectors,
        secret_key=secret,
        missing=look.missing,
    )
