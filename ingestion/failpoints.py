"""Failpoints where a test may kill this process, to check that the next one finishes the work."""

import os
import signal
from enum import StrEnum

from cairn.settings import environment


class Fault(StrEnum):
    AFTER_SUBMIT = "after_submit"
    AFTER_CLAIM = "after_claim"
    AFTER_PARSE = "after_parse"
    AFTER_CHUNK = "after_chunk"
    AFTER_EMBED = "after_embed"
    AFTER_UPSERT = "after_upsert"
    BEFORE_FLIP = "before_flip"
    AFTER_FLIP = "after_flip"
    AFTER_CLEANUP = "after_cleanup"
    DURING_ERASURE = "during_erasure"
    REINDEX_AFTER_UPSERT = "reindex_after_upsert"
    REINDEX_WHILE_OPTIMISING = "reindex_while_optimising"
    REINDEX_BEFORE_SWAP = "reindex_before_swap"
    REINDEX_AFTER_SWAP = "reindex_after_swap"
    REINDEX_WHILE_REMOVING = "reindex_while_removing"
    REWRITE_WHILE_COPYING = "rewrite_while_copying"
    REWRITE_BEFORE_SWITCH = "rewrite_before_switch"
    REWRITE_AFTER_SWITCH = "rewrite_after_switch"
    REWRITE_BEFORE_RECEIPTS = "rewrite_before_receipts"
    SOURCE_WHILE_LISTING = "source_while_listing"
    SOURCE_BEFORE_CURSOR = "source_before_cursor"
    SOURCE_WHILE_DELETING = "source_while_deleting"
    SOURCE_AFTER_SUBMIT = "source_after_submit"
    SOURCE_BEFORE_ACCESS = "source_before_access"
    BACKUP_WHILE_COPYING = "backup_while_copying"
    BACKUP_BEFORE_RENAME = "backup_before_rename"
    RESTORE_AFTER_TABLES = "restore_after_tables"
    RESTORE_WHILE_COPYING = "restore_while_copying"
    RESTORE_WHILE_INDEXING = "restore_while_indexing"
    RESTORE_BEFORE_END = "restore_before_end"


def fault_point(here: Fault) -> None:
    """End the process as a power failure would, if CAIRN_FAULT names this failpoint."""
    if environment().cairn_fault == here:
        os.kill(os.getpid(), signal.SIGKILL)
