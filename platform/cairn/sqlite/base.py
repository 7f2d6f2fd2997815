"""The name that Django looks a backend up by."""

from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base

from cairn.sqlite.kept import Kept, Place, close_all, keep, place_of, take


class DatabaseWrapper(base.DatabaseWrapper):
    """Each request and each job has a thread of its own, and so a connection. One that is opened anew reads
    the schema and prepares every statement again: 2 ms, as much as a small request takes."""

    _place: Place | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self._place = None
        if self.is_in_memory_db():
            return super().get_new_connection(conn_params)
        path = Path(conn_params["database"])
        before = place_of(path)
        kept = take(before)
        if kept is not None:
            kept.execute("PRAGMA foreign_keys = ON")  # a change of the tables may have ended without
            self._place = before
            return kept
        opened = super().get_new_connection(conn_params)
        after = place_of(path)
        self._place = after if before in {None, after} else None
        return opened

    def _close(self) -> None:
        if not self._kept():
            super()._close()  # type: ignore[misc]  # the stubs leave it out

    def _kept(self) -> bool:
        """Not where something may be left of what it was used for."""
        raw = self.connection
        if raw is None or self._place is None or self.errors_occurred:
            return False
        return not (self.in_atomic_block or raw.in_transaction) and keep(Kept(self._place, raw))

    def close_pool(self) -> None:
        """As Django's backend for PostgreSQL has it: before the file is replaced."""
        close_all()
