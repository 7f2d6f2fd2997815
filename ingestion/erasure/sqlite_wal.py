"""SQLite's write-ahead log, which contains overwritten data until it is truncated."""

import threading

from django.db import connection

_PATIENCE_MS = 500  # writers wait for it

_owed = threading.Event()


def scrub() -> bool:
    """Truncate the log. Returns False if readers prevented it; `scrub_owed` then has to try again.

    PostgreSQL has no such file of ours: see docs/administer/erasure-and-retention.md.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return True
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        usual = int(cursor.fetchone()[0])
        cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = bool(cursor.fetchone()[0])
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual}")
    if busy:
        _owed.set()
    else:
        _owed.clear()
    return not busy


def scrub_owed() -> None:
    if _owed.is_set():
        scrub()
