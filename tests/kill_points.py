"""Killing the process that works, at one place after the other, until all is done all the same."""

from typing import Final

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


def changed(install: Install) -> None:
    """A new version of each but one, which is deleted."""
    install.upload_all({name: text for name, text in NEW.items() if name not in {DELETED, SUBMITTED}})


def delete_one(install: Install) -> None:
    install.ask("DELETE", f"/documents/{install.document(DELETED)['id']}")


def expected() -> set[str]:
    return {name for name in NEW if name != DELETED}


def sources(chunks: ChunkSet) -> set[str]:
    return {source for source, _, _ in chunks}
