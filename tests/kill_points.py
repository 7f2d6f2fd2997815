"""Killing the process that works, at one place after the other, until all is done all the same."""

from collections.abc import Iterable
from typing import Final

import pytest

from ingestion.failpoints import Fault
from tests.installs import ChunkSet, Install, texts

DOCUMENTS: Final = 14
OLD, NEW = texts(DOCUMENTS, edition=1), texts(DOCUMENTS, edition=2)
DELETED: Final = "rules-00.md"
SUBMITTED: Final = "rules-01.md"

AT_THE_DOOR: Final = (Fault.AFTER_SUBMIT, Fault.DURING_ERASURE)
WHILE_REINDEXING: Final = tuple(fault for fault in Fault if fault.startswith("reindex_"))
BACKING_UP: Final = tuple(fault for fault in Fault if fault.startswith("backup_"))
RESTORING: Final = tuple(fault for fault in Fault if fault.startswith("restore_"))
REWRITING: Final = tuple(fault for fault in Fault if fault.startswith("rewrite_"))
SYNCING: Final = tuple(fault for fault in Fault if fault.startswith("source_"))
_NOT_IN_A_JOB: Final = {*AT_THE_DOOR, *WHILE_REINDEXING, *BACKING_UP, *RESTORING, *REWRITING, *SYNCING}
IN_A_JOB: Final = tuple(fault for fault in Fault if fault not in _NOT_IN_A_JOB)
_BEFORE_RELEASES: Final = {
    Fault.AFTER_CLAIM,
    Fault.AFTER_PARSE,
    Fault.AFTER_CHUNK,
    Fault.AFTER_EMBED,
    Fault.BEFORE_FLIP,
    Fault.AFTER_CLEANUP,
    Fault.REINDEX_AFTER_UPSERT,
    Fault.REINDEX_WHILE_OPTIMISING,
    Fault.REINDEX_WHILE_REMOVING,
    Fault.REWRITE_BEFORE_SWITCH,
    Fault.REWRITE_AFTER_SWITCH,
    Fault.REWRITE_BEFORE_RECEIPTS,
    Fault.SOURCE_AFTER_SUBMIT,
}
"""Little is stored between these and another fault, so only `make test-cluster` kills there."""


def late_marks(fault: Fault) -> tuple[pytest.MarkDecorator, ...]:
    """Return the mark of faults that continuous integration leaves out."""
    return (pytest.mark.acceptance,) if fault in _BEFORE_RELEASES else ()


def kills(faults: Iterable[Fault]) -> list[object]:
    """Return a parameter for each fault."""
    return [pytest.param(each, marks=late_marks(each)) for each in faults]


def changed(install: Install) -> None:
    """A new version of each but one, which is deleted."""
    install.upload_all({name: text for name, text in NEW.items() if name not in {DELETED, SUBMITTED}})


def delete_one(install: Install) -> None:
    install.ask("DELETE", f"/documents/{install.document(DELETED)['id']}")


def expected() -> set[str]:
    return {name for name in NEW if name != DELETED}


def sources(chunks: ChunkSet) -> set[str]:
    return {source for source, _, _ in chunks}
